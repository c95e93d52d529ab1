//! The few rights there are. A role grants them; an API token has those that it was made with, within its owner's role.

use assay_store::model::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What somebody may do. In types, so that no handler forgets to ask: see [`Needs`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// Read assignments, runs and reports.
    Read,
    /// Invite; extend, close and archive assignments; make and revoke tokens and links of candidates.
    Invite,
    /// Run again, cancel, score again.
    Run,
    /// Accounts, connections, erasure, the audit trail.
    Admin,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Invite, Self::Run, Self::Admin];

    /// The stable name: the scope of an API token.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Invite => "invite",
            Self::Run => "run",
            Self::Admin => "admin",
        }
    }

    /// The lowest role that has it.
    pub fn role(self) -> Role {
        match self {
            Self::Read => Role::Viewer,
            Self::Invite | Self::Run => Role::Interviewer,
            Self::Admin => Role::Admin,
        }
    }
}

/// A right as a type, for extractors.
pub trait Needs: Send + Sync + 'static {
    /// The right.
    const RIGHT: Right;
}

macro_rules! rights {
    ($($name:ident)*) => {$(
        #[doc = concat!("[`Right::", stringify!($name), "`].")]
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl Needs for $name {
            const RIGHT: Right = Right::$name;
        }
    )*};
}

rights! { Read Invite Run Admin }
