//! The small static program inside the containers of a pod.
//!
//! `serve` is the agent that carries out what the engine asks for over standard input and output; `forward` relays a
//! port of the pod's loopback to a Unix socket; `load` measures the service with a load plan; `probe` attacks it;
//! `surroundings` tells what a container can see and do. It depends on nothing in its container, so that it runs in any
//! image.

use std::process::ExitCode;

mod forward;
mod load;
mod probe;
mod serve;
mod surroundings;

/// What the program can be told to do.
const USAGE: &str = "usage: drive serve | drive forward --listen ADDRESS:PORT --to SOCKET | drive load [JOB] | drive probe | drive surroundings";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["serve"] => serve::main().await,
        ["load"] => load::main(None).await,
        ["load", job] => load::main(Some(job)).await,
        ["probe"] => probe::main().await,
        ["surroundings"] => surroundings::main(),
        ["forward", "--listen", address, "--to", socket] => forward::main(address, socket).await,
        _ => Err(std::io::Error::other(USAGE)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Says on standard error why the program ends.
fn complain(message: &str) {
    use std::io::Write as _;
    // Nobody is left to tell when standard error is gone too.
    drop(writeln!(std::io::stderr(), "drive: {message}"));
}
