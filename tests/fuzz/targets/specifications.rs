//! Every file that people write, and the contract: mistakes, never a panic.

use assay_core::exercise::Exercise;
use assay_core::expected::Expected;
use assay_core::load::LoadPlan;
use assay_core::security::{Contract, SecurityPlan};
use assay_core::toolchain::{Overrides, Service, Toolchain};
use assay_core::yaml;

pub(crate) fn read(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    drop(yaml::read::<Exercise>("f", text));
    drop(yaml::read::<Toolchain>("f", text));
    drop(yaml::read::<Service>("f", text));
    drop(yaml::read::<LoadPlan>("f", text));
    drop(yaml::read::<SecurityPlan>("f", text));
    drop(yaml::read::<Expected>("f", text));
    drop(yaml::read::<Overrides>("f", text));
    if let Ok(contract) = yaml::read_shape::<serde_json::Value>("f", text) {
        drop(Contract::read(&contract));
    }
}
