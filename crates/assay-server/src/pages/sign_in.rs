//! Signing in, and the pages for what went wrong.

use askama::Template;

use super::assets::Assets;
use super::frame::Frame;

/// The form to sign in.
#[derive(Template)]
#[template(path = "sign_in.html", whitespace = "minimize")]
pub(super) struct SignInPage {
    pub(super) frame: Frame,
    pub(super) login: String,
    /// Where to go afterwards.
    pub(super) next: String,
    pub(super) wrong: Option<String>,
    pub(super) elsewhere: Option<Elsewhere>,
}

/// Where else one may sign in.
pub(super) struct Elsewhere {
    /// What it is called.
    pub(super) name: String,
    /// Address that leads there.
    pub(super) href: String,
}

/// What is shown instead of what was asked for.
#[derive(Template)]
#[template(path = "problem.html", whitespace = "minimize")]
pub(super) struct ProblemPage {
    pub(super) frame: Frame,
    pub(super) status: u16,
    pub(super) detail: String,
}
