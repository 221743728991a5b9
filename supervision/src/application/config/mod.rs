//! What an application is configured with.
//!
//! Each value knows where it was said, so that whatever is wrong with it is said together with the place. What is said
//! later wins, key by key:
//!
//! ```text
//!   default in the specification  <  TOML file  <  environment  <  builder  <  set while it runs
//! ```
//!
//! ```text
//!   tree      values, each with its origin; how one layer covers another      (pure)
//!   read      layers from TOML, from the environment, from values of the program
//!   de        values as types of the program, read with serde                 (pure)
//!   duration  durations as text, as `1.5s`                                    (pure)
//!   error     what is wrong, where it was said, what is allowed
//!   secret    values that are not shown
//!   env       what an application reads its configuration from
//! ```
//!
//! # Not here
//! Files are read when an application is loaded, and never again.

mod de;
mod duration;
mod env;
mod error;
mod read;
mod secret;
mod tree;

pub use env::Env;
pub(crate) use env::Settings;
pub use error::ConfigError;
pub(crate) use read::{Sections, environment, of_value};
pub use secret::Secret;
pub(crate) use tree::Item;
pub use tree::Origin;
