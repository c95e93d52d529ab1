//! Whether the engine keeps candidates' code in: asked by `assay doctor`, and before a worker begins.

use assay_core::preflight::{Concern, concerns};
use assay_engine::DRIVE_IMAGE;
use assay_sandbox::{Engine, images};

/// What gives cause for concern. Where no container can look around, that is one of them, as long as it lasts.
pub(crate) async fn examine(engine: &Engine) -> Vec<Concern> {
    let unknown = |why: String| {
        let mut found = concerns(&engine.info().facts, None, None);
        let message = format!("whether containers are closed is not known: {why}");
        found.push(Concern {
            // A runtime for candidates' code is not relied upon before it was tried.
            is_grave: engine.info().facts.runtime.is_some(),
            ..Concern::mild(message, "`assay images build`, then `assay doctor`")
        });
        found
    };
    let drive = match images::resolve(engine, DRIVE_IMAGE).await {
        Ok(drive) => drive,
        Err(error) => return unknown(error.to_string()),
    };
    let id = format!("preflight-{:08x}", rand::random::<u32>());
    match assay_sandbox::preflight(engine, &drive, id).await {
        Ok(found) => found,
        Err(error) => unknown(error.to_string()),
    }
}
