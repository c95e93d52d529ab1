//! Reports of real tools and of people who mean no good.

mod advisories;
mod coverage;
mod findings;
mod hostile;
mod junit;
