//! Randomness from a seed, and how likely things are.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// How likely something is, in steps of a millionth.
///
/// ```
/// use atonce_sim::Odds;
///
/// assert_eq!(Odds::percent(5), Odds::per_million(50_000));
/// assert_eq!("5%".parse(), Ok(Odds::percent(5)));
/// assert_eq!("2.5".parse(), Ok(Odds::per_million(25_000)));
/// assert_eq!(Odds::percent(5).to_string(), "5%");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Odds(u32);

/// What was given is no share: expected a number of percent from 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a number of percent from 0 to 100")]
pub struct InvalidOdds;

const MILLION: u32 = 1_000_000;

impl Odds {
    /// It does not happen.
    pub const NEVER: Self = Self(0);

    /// It always happens.
    pub const ALWAYS: Self = Self(MILLION);

    /// In so many cases of a hundred; more than 100 count as 100.
    pub const fn percent(percent: u32) -> Self {
        Self::per_million(percent.saturating_mul(10_000))
    }

    /// In so many cases of a million; more than a million count as a million.
    pub const fn per_million(cases: u32) -> Self {
        Self(if cases > MILLION { MILLION } else { cases })
    }
}

impl FromStr for Odds {
    type Err = InvalidOdds;

    /// Reads percent, with or without the sign, with up to four decimals.
    fn from_str(text: &str) -> Result<Self, InvalidOdds> {
        let number = text.strip_suffix('%').unwrap_or(text);
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if part.len() > 4
            || !(whole.to_owned() + part)
                .bytes()
                .all(|c| c.is_ascii_digit())
        {
            return Err(InvalidOdds);
        }
        let whole: u32 = whole.parse().map_err(|_| InvalidOdds)?;
        let part: u32 = format!("{part:0<4}").parse().map_err(|_| InvalidOdds)?;
        match whole.checked_mul(10_000).and_then(|n| n.checked_add(part)) {
            Some(cases) if cases <= MILLION => Ok(Self(cases)),
            _ => Err(InvalidOdds),
        }
    }
}

impl fmt::Display for Odds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 10_000, self.0 % 10_000);
        if part == 0 {
            write!(f, "{whole}%")
        } else {
            write!(f, "{whole}.{}%", format!("{part:04}").trim_end_matches('0'))
        }
    }
}

/// A source of randomness that says the same on every run: all that happens by chance in a simulation comes from one.
///
/// ```
/// use atonce_sim::Chance;
///
/// let (mut one, mut other) = (Chance::new(7), Chance::new(7));
/// assert_eq!(one.below(1_000), other.below(1_000));
/// ```
#[derive(Clone, Debug)]
pub struct Chance(ChaCha8Rng);

impl Chance {
    /// Everything that follows is decided by `seed`.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Another source, decided by this one, from which can be drawn without changing what this one gives.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(ChaCha8Rng::from_seed(self.seed()))
    }

    /// Thirty-two octets, as a node wants them for its seed.
    pub fn seed(&mut self) -> [u8; 32] {
        let mut octets = [0; 32];
        self.0.fill_bytes(&mut octets);
        octets
    }

    /// A number from 0 to `limit` − 1; 0 when `limit` is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        let wide = u128::from(self.0.next_u64()) * u128::from(limit);
        // The upper half of a product with a number of 64 bits has 64 bits.
        u64::try_from(wide >> 64).unwrap_or_default()
    }

    /// An index into something of this length; 0 when it is empty.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }

    /// Whether it happens this time. Draws nothing when it never or always does.
    pub fn happens(&mut self, odds: Odds) -> bool {
        match odds {
            Odds::NEVER => false,
            Odds::ALWAYS => true,
            Odds(cases) => self.below(u64::from(MILLION)) < u64::from(cases),
        }
    }

    /// A length of time from `least` to `most`.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = most.saturating_sub(least);
        let span = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        least + Duration::from_micros(self.below(span.saturating_add(1)))
    }

    /// One of these; `None` when there is none.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        from.get(self.index(from.len())).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odds_are_read_and_written() {
        for (text, cases) in [("0", 0), ("5%", 50_000), ("0.0001%", 1), ("100", 1_000_000)] {
            assert_eq!(text.parse(), Ok(Odds::per_million(cases)), "{text}");
        }
        for text in ["", "%", "-1", "100.0001", "1e3", "0.00001", "x"] {
            assert_eq!(text.parse::<Odds>(), Err(InvalidOdds), "{text}");
        }
        assert_eq!(Odds::per_million(12_500).to_string(), "1.25%");
    }

    #[test]
    fn what_happens_in_a_tenth_of_cases_does() {
        let mut chance = Chance::new(1);
        let hits = (0..10_000)
            .filter(|_| chance.happens(Odds::percent(10)))
            .count();
        assert!((900..1_100).contains(&hits), "{hits}");
    }

    #[test]
    fn durations_stay_within_their_bounds() {
        let mut chance = Chance::new(1);
        let (least, most) = (Duration::from_millis(500), Duration::from_millis(1_000));
        for _ in 0..1_000 {
            assert!((least..=most).contains(&chance.between(least, most)));
        }
        assert_eq!(chance.between(most, least), most);
    }
}
