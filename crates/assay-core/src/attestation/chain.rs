//! All links of one chain, from the first on.

use std::collections::BTreeSet;

use super::{Link, Refusal};

/// Whether these links are one chain from its beginning. That the newest ones were left out does not show in the links: whoever
/// knows how many there should be compares.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn verify(links: &[Link]) -> Result<(), Refusal> {
    let Some(first) = links.first() else {
        return Ok(());
    };
    let there: BTreeSet<u64> = links.iter().map(|link| link.manifest.link).collect();
    let mut previous = None;
    for (place, link) in (1..).zip(links) {
        let manifest = &link.manifest;
        if manifest.chain != first.manifest.chain {
            return Err(Refusal::OtherChain {
                link: manifest.link,
                chain: manifest.chain.clone(),
            });
        }
        if manifest.link != place {
            return Err(match there.contains(&place) {
                true => Refusal::Reordered {
                    place,
                    found: manifest.link,
                },
                false => Refusal::Missing(place),
            });
        }
        if manifest.previous.as_ref() != previous {
            return Err(Refusal::Replaced(place));
        }
        previous = Some(&link.digest);
    }
    Ok(())
}
