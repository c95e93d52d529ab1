//! Images: built once, named after their content, refused when they could not be bounded.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use assay_sandbox::images::{self, BuildError, BuildOptions, ImageError, ImageFolder};
use bollard::query_parameters::RemoveImageOptions;

use crate::{unique, with_bench};

fn options() -> BuildOptions {
    BuildOptions {
        agent: None,
        extra_ca: None,
        args: BTreeMap::new(),
        host_network: true,
        timeout: Duration::from_secs(120),
    }
}

/// An image folder with a name that no other test uses.
fn folder(dockerfile: &str) -> (tempfile::TempDir, ImageFolder) {
    let parent = tempfile::tempdir().unwrap();
    let path: PathBuf = parent.path().join(format!("test-{}", unique()));
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("Dockerfile"), dockerfile).unwrap();
    let folder = ImageFolder::read(&path).unwrap();
    (parent, folder)
}

#[tokio::test]
async fn an_image_is_built_once_and_found_by_name() {
    with_bench(async |bench| {
        // A line of its own: the engine runs no step again of which an interrupted test left the result.
        let line = format!("built-{}", unique());
        let (_guard, folder) = folder(&format!(
            "FROM debian:trixie-slim\nCOPY ca/ /ca/\nRUN echo {line}\n"
        ));
        let missing = images::resolve(&bench.engine, folder.name()).await.unwrap_err();
        assert!(matches!(missing, ImageError::Missing { .. }), "{missing}");

        let mut lines = Vec::new();
        let mut progress = |line: &str| lines.push(line.to_owned());
        let image = images::build(&bench.engine, &folder, &options(), &mut progress)
            .await
            .unwrap();
        assert!(lines.contains(&line), "{lines:?}");
        assert!(
            image.id.starts_with("sha256:") && image.tag.starts_with("assay/test-"),
            "{image:?}"
        );

        let mut progress = |line: &str| panic!("built again: {line}");
        assert_eq!(
            images::build(&bench.engine, &folder, &options(), &mut progress)
                .await
                .unwrap(),
            image
        );
        assert_eq!(
            images::resolve(&bench.engine, folder.name()).await.unwrap(),
            image
        );
        let listed = images::list(&bench.engine).await.unwrap();
        let listed = listed.iter().find(|listed| listed.name == folder.name()).unwrap();
        assert_eq!((listed.id.as_str(), listed.tags.len()), (image.id.as_str(), 2));

        for tag in &listed.tags {
            bench
                .docker
                .remove_image(tag, None::<RemoveImageOptions>, None)
                .await
                .unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_failed_build_shows_its_last_lines() {
    with_bench(async |bench| {
        let (_guard, folder) = folder("FROM debian:trixie-slim\nRUN echo the reason; exit 3\n");
        let error = images::build(&bench.engine, &folder, &options(), &mut |_| {})
            .await
            .unwrap_err();
        let BuildError::Failed { log, message, .. } = error else {
            panic!("{error}")
        };
        assert!(
            log.contains("the reason") && message.contains("returned a non-zero code: 3"),
            "{log}\n{message}"
        );
    })
    .await;
}

#[tokio::test]
async fn an_image_with_volumes_is_refused() {
    with_bench(async |bench| {
        let (_guard, folder) = folder("FROM debian:trixie-slim\nVOLUME /var/lib/unbounded\n");
        let error = images::build(&bench.engine, &folder, &options(), &mut |_| {})
            .await
            .unwrap_err();
        assert!(
            matches!(error, BuildError::Image(ImageError::DeclaresVolumes { .. })),
            "{error}"
        );
        for image in images::list(&bench.engine).await.unwrap() {
            if image.name == folder.name() {
                bench
                    .docker
                    .remove_image(&image.tags[0], None::<RemoveImageOptions>, None)
                    .await
                    .unwrap();
            }
        }
    })
    .await;
}
