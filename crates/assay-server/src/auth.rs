//! Who is asking, and what they may do.
//!
//! People sign in with a password, or at an OpenID Connect provider ([`oidc`]), and hold a session in a cookie ([`SignedIn`], and [`Form`] for whatever changes
//! something). Programs hold an API token ([`Scoped`]). Candidates, and whoever got a share link, open one thing by a link
//! ([`link`]). All of these are bearer secrets: 256 random bits, of which only the SHA-256 is stored.

pub mod link;
pub mod oidc;
pub mod password;
pub mod right;
pub mod secret;

mod csrf;
mod scoped;
mod session;

pub use right::Right;
pub use scoped::Scoped;
pub use secret::Secret;
pub use session::{Form, SignedIn, change_password, set_password, sign_in, sign_out};
