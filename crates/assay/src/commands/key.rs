//! `assay key`: the keys that results are signed with.

use assay_core::attestation::PublicKey as _;
use assay_store::signing::Keys;
use clap::{Args, Subcommand};

use crate::configuration::{Configuration, Options};
use crate::data_folder::DataFolder;
use crate::exit::Exit;
use crate::key_folder::KeyFolder;
use crate::progress;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the public keys (PEM), the present one first: what others verify reports with.
    Show(Arguments),
    /// Take a new key into use. What was signed before can still be verified. A daemon takes it at its next start.
    Renew(Arguments),
}

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The keys of whoever runs this, which `assay run` signs with; otherwise those of the daemon's data folder.
    #[arg(long)]
    user: bool,
    #[command(flatten)]
    options: Options,
}

pub(crate) fn run(command: &Command) -> anyhow::Result<Exit> {
    match command {
        Command::Show(arguments) => {
            let keys = folder(arguments)?.read_or_make()?;
            let pem: String = keys.known.iter().map(|key| key.to_pem()).collect();
            progress::say(pem.trim_end());
            progress::complain(&format!("the key {} signs", id(&keys)));
        }
        Command::Renew(arguments) => {
            let keys = folder(arguments)?.renew()?;
            progress::say(&format!(
                "the key {} signs from now on; {} older ones still verify",
                id(&keys),
                keys.known.len() - 1
            ));
        }
    }
    Ok(Exit::Done)
}

fn id(keys: &Keys) -> &str {
    keys.signing.public().id()
}

fn folder(arguments: &Arguments) -> anyhow::Result<KeyFolder> {
    if arguments.user {
        return KeyFolder::of_user().ok_or_else(|| anyhow::anyhow!("there is no home for a key"));
    }
    let configuration = Configuration::load(&arguments.options)?;
    Ok(DataFolder::open(&configuration.data)?.keys())
}
