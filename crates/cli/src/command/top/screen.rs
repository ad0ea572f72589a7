//! The live screen: events of the node and keys of the user go into the model, and the model is drawn.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use atonce::zre::Event;
use atonce_std::Node;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event as Input, KeyCode, KeyEventKind, KeyModifiers};

use super::Top;
use super::model::{Key, Model};
use super::view;
use crate::failure::Failure;
use crate::log;
use crate::session::Session;
use crate::terminal;

/// How many events may wait to be counted.
const WAITING: usize = 4_096;

/// How often the screen is drawn at most: more is not seen.
const DRAWN: Duration = Duration::from_millis(100);

/// How often the node is asked what it knows, and the rates are shown anew.
const LOOKED: Duration = Duration::from_millis(500);

/// How often the thread that reads keys looks whether it is still wanted.
const WANTED: Duration = Duration::from_millis(200);

/// What comes.
enum Came {
    Event(Event),
    Key(Key),
    /// The screen has another size.
    Resized,
    /// The node is stopped.
    Over,
}

/// The terminal while the screen has it; dropped, it is as it was, also when something panics.
struct Screen(DefaultTerminal);

impl Screen {
    fn open() -> Result<Self, Failure> {
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            return Err(Failure::failed(
                "there is no terminal for a live view; `atonce top --once` prints what is to be seen",
            ));
        }
        terminal::screen(true);
        // It also sees to it that a panic is told on a terminal that is as it was.
        ratatui::try_init().map(Self).map_err(|error| {
            terminal::restore();
            Failure::failed(format!("the terminal cannot be drawn on: {error}"))
        })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        terminal::restore();
    }
}

/// Shows the network until the user leaves, the node stops, or the time is over.
pub(super) fn run(
    top: &Top,
    session: &Session,
    mut model: Model,
    begun: Instant,
) -> Result<(), Failure> {
    let mut screen = Screen::open()?;
    let (sender, came) = sync_channel(WAITING);
    let wanted = Arc::new(AtomicBool::new(true));
    let (node, events) = (session.node.clone(), sender.clone());
    thread::spawn(move || hand_on_events(&node, &events));
    let keys = Arc::clone(&wanted);
    let reader = thread::spawn(move || hand_on_keys(&keys, &sender));
    let end = top.duration.map(|duration| begun + duration);
    let (mut drawn, mut looked) = (None::<Instant>, None::<Instant>);
    let mut stale = true;
    let result = loop {
        let now = Instant::now();
        model.tick(now - begun);
        if looked.is_none_or(|at| now - at >= LOOKED) {
            top.look(session, &mut model);
            for line in log::held() {
                model.note(line, true);
            }
            looked = Some(now);
            stale = true;
        }
        if stale && drawn.is_none_or(|at| now - at >= DRAWN) {
            if let Err(error) = screen.0.draw(|frame| view::draw(frame, &model)) {
                break Err(Failure::failed(format!(
                    "the terminal cannot be drawn on: {error}"
                )));
            }
            drawn = Some(now);
            stale = false;
        }
        if model.over || end.is_some_and(|end| now >= end) {
            break Ok(());
        }
        let mut next = came.recv_timeout(DRAWN);
        // All that came, before it is drawn once.
        for _ in 0..WAITING {
            match next {
                Ok(Came::Event(event)) => top.hear(session, &mut model, begun.elapsed(), &event),
                Ok(Came::Key(key)) => {
                    model.press(key);
                    // Who types wants to see it at once.
                    drawn = None;
                }
                Ok(Came::Resized) => drawn = None,
                Ok(Came::Over) | Err(RecvTimeoutError::Disconnected) => model.over = true,
                Err(RecvTimeoutError::Timeout) => break,
            }
            stale = true;
            if model.over {
                break;
            }
            next = came.try_recv().map_err(|_| RecvTimeoutError::Timeout);
        }
    };
    wanted.store(false, Ordering::SeqCst);
    // It reads no key any more that is for the shell.
    drop(came);
    let _ = reader.join();
    drop(screen);
    result
}

fn hand_on_events(node: &Node, to: &SyncSender<Came>) {
    while let Some(event) = node.recv() {
        if to.send(Came::Event(event)).is_err() {
            return;
        }
    }
    let _ = to.send(Came::Over);
}

fn hand_on_keys(wanted: &AtomicBool, to: &SyncSender<Came>) {
    while wanted.load(Ordering::SeqCst) {
        let came = match event::poll(WANTED).and_then(|there| there.then(event::read).transpose()) {
            Ok(None) => continue,
            Ok(Some(input)) => match meant(&input) {
                Some(came) => came,
                None => continue,
            },
            // The terminal is gone.
            Err(_) => Came::Key(Key::Quit),
        };
        if to.send(came).is_err() {
            return;
        }
    }
}

/// What an input of the terminal means.
fn meant(input: &Input) -> Option<Came> {
    let key = match input {
        Input::Resize(..) => return Some(Came::Resized),
        Input::Key(key) if key.kind != KeyEventKind::Release => key,
        _ => return None,
    };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let key = match key.code {
        KeyCode::Char('c' | 'd') if control => Key::Quit,
        KeyCode::Char(_) if control => return None,
        KeyCode::Char(character) => Key::Character(character),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::First,
        KeyCode::End => Key::Last,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Erase,
        _ => return None,
    };
    Some(Came::Key(key))
}
