//! `assay migrate` and `assay backup`: looking after the database, with or without a running daemon.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use assay_core::units::Bytes;
use assay_store::Store;
use clap::Args;

use crate::configuration::{Configuration, Options};
use crate::data_folder::DataFolder;
use crate::exit::Exit;
use crate::progress;

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// Folder to make; it must not be there yet. It has the shape of a data folder: to restore, stop the daemon, put a copy of it
    /// in the data folder's place, start the daemon.
    into: PathBuf,
    /// Leave the database out, for those in PostgreSQL: run `pg_dump` first, then this.
    #[arg(long)]
    files_only: bool,
    #[command(flatten)]
    options: Options,
}

/// Opens the configured store, without migrating it. What is written into it is signed.
pub(crate) async fn open(configuration: &Configuration, data: &DataFolder) -> anyhow::Result<Store> {
    let keys = data.keys().read_or_make()?;
    let store = Store::open(&configuration.database()?, &data.join("blobs"))
        .await
        .context("the database cannot be opened")?;
    Ok(store.signing_with(keys))
}

pub(crate) async fn migrate(arguments: &Migrate) -> anyhow::Result<Exit> {
    let configuration = Configuration::load(&arguments.options)?;
    let data = DataFolder::open(&configuration.data)?;
    let n = open(&configuration, &data).await?.migrate().await?;
    progress::say(&format!("the schema is up to date; {n} migrations were applied"));
    Ok(Exit::Done)
}

pub(crate) async fn backup(arguments: &Backup) -> anyhow::Result<Exit> {
    let configuration = Configuration::load(&arguments.options)?;
    let data = DataFolder::open(&configuration.data)?;
    let into = &arguments.into;
    ensure!(!into.exists(), "{} is there already", into.display());
    let unfinished = into.with_extension("unfinished");
    drop(std::fs::remove_dir_all(&unfinished));
    let target = DataFolder::open(&unfinished)?;
    if !arguments.files_only {
        // The database first: what it names then is in the files that are copied after it.
        open(&configuration, &data)
            .await?
            .backup(&target.join("assay.db"))
            .await?;
    }
    let copied = tokio::task::spawn_blocking(move || data.copy_files(&unfinished).map(|n| (n, unfinished)));
    let (n_bytes, unfinished) = copied.await??;
    std::fs::rename(&unfinished, into).with_context(|| format!("{} cannot be made", into.display()))?;
    progress::say(&format!(
        "{} holds the {}installation: {} of files",
        into.display(),
        if arguments.files_only { "files of the " } else { "" },
        Bytes(n_bytes)
    ));
    Ok(Exit::Done)
}
