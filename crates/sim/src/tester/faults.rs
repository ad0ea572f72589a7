//! What goes wrong in a run, as a set of kinds of faults.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A kind of fault: each tester has its own.
pub trait Kind: Copy + Ord + fmt::Display + FromStr<Err = InvalidFault> + 'static {
    /// Each there is.
    const EACH: &'static [Self];
    /// Their names, for people.
    const NAMES: &'static str;

    /// That of a name.
    ///
    /// # Errors
    ///
    /// [`InvalidFault`] when it is none's.
    fn named(name: &str) -> Result<Self, InvalidFault> {
        let mut each = Self::EACH.iter().copied();
        each.find(|kind| kind.to_string() == name)
            .ok_or_else(|| InvalidFault {
                found: name.to_owned(),
                names: Self::NAMES,
            })
    }
}

/// No fault has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected all, none or names of faults, found {found:?}; the faults are {names}")]
pub struct InvalidFault {
    found: String,
    names: &'static str,
}

/// Kinds of faults, in their order. As a text: `all`, `none`, or their names with commas between them.
///
/// ```
/// use atonce_sim::tester::{Fault, Faults};
///
/// let faults: Faults = "reset, kill".parse()?;
/// assert!(faults.has(Fault::Kill) && !faults.has(Fault::PowerOff));
/// assert_eq!(faults.to_string(), "reset,kill");
/// assert_eq!("all".parse(), Ok(Faults::all()));
/// # Ok::<(), atonce_sim::tester::InvalidFault>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultSet<F>(BTreeSet<F>);

impl<F> Default for FaultSet<F> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<F: Kind> FaultSet<F> {
    /// Everything.
    pub fn all() -> Self {
        F::EACH.iter().copied().collect()
    }

    /// Whether this is among them.
    pub fn has(&self, fault: F) -> bool {
        self.0.contains(&fault)
    }

    /// Adds one.
    pub fn insert(&mut self, fault: F) {
        self.0.insert(fault);
    }

    /// In the order of [`Kind::EACH`].
    pub fn iter(&self) -> impl Iterator<Item = F> {
        self.0.iter().copied()
    }

    /// Whether nothing goes wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<F: Kind> FromIterator<F> for FaultSet<F> {
    fn from_iter<I: IntoIterator<Item = F>>(faults: I) -> Self {
        Self(faults.into_iter().collect())
    }
}

impl<F: Kind> FromStr for FaultSet<F> {
    type Err = InvalidFault;

    fn from_str(text: &str) -> Result<Self, InvalidFault> {
        match text.trim() {
            "all" => Ok(Self::all()),
            "none" | "" => Ok(Self::default()),
            names => names.split(',').map(|name| name.trim().parse()).collect(),
        }
    }
}

impl<F: Kind> fmt::Display for FaultSet<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (n, fault) in self.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            write!(f, "{comma}{fault}")?;
        }
        Ok(())
    }
}
