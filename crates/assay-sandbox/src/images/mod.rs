//! Images: built from folders by the engine itself, named after their content, found again by name.
//!
//! An image `python` is tagged `assay/python:<digest>` and `assay/python:latest`. The digest covers the folder's content,
//! the base image and the build arguments, so that an unchanged folder is built once per machine.

mod context;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bollard::models::BuildInfo;
use bollard::query_parameters::{
    BuildImageOptionsBuilder, CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions,
    TagImageOptionsBuilder,
};
use futures_util::StreamExt;

use crate::engine::{Engine, EngineError, QUICK, SLOW, call, translate};

pub use context::{FolderError, ImageFolder};

/// What every image but those from scratch is built on.
const BASE: &str = "debian:trixie-slim";

/// The label with the name of an image of ours.
const IMAGE_LABEL: &str = "assay.image";

/// How long fetching the base image may take.
const PULL: Duration = Duration::from_secs(120);

/// Lines of a failed build that its error shows.
const SHOWN_LINES: usize = 30;

/// Bytes of one line of a build that are kept.
const MAX_LINE_BYTES: usize = 2000;

/// An image, by its exact content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Of its folder.
    pub name: String,
    /// `sha256:…`; what containers are made of, whatever the tags point to meanwhile.
    pub id: String,
    /// `assay/<name>:<digest>`.
    pub tag: String,
}

/// How to build an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildOptions {
    /// The static agent, put into the context as `assay-drive`, for the folder that asks for it.
    pub agent: Option<Vec<u8>>,
    /// Certificate authorities (PEM) that the build's downloads need besides the public ones, put into the context as
    /// `ca/extra.crt`. Not part of the digest.
    pub extra_ca: Option<Vec<u8>>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Whether the build shares the network of the engine's machine, for engines without a bridge.
    pub host_network: bool,
    /// How long the build may take.
    pub timeout: Duration,
}

/// Why there is no image of a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// It was not built on this machine.
    #[error("there is no image {name:?} (build the images first: assay images build)")]
    Missing {
        /// The name.
        name: String,
    },
    /// It declares volumes, which would be writable and unbounded.
    #[error("the image {name:?} declares volumes: {volumes:?}")]
    DeclaresVolumes {
        /// The name.
        name: String,
        /// Where.
        volumes: Vec<String>,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Why an image could not be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The base image is neither here nor to be had.
    #[error(
        "the base image {BASE} is missing and cannot be fetched: {cause} (ci/base-image makes one from Debian's packages)"
    )]
    BaseMissing {
        /// What the engine says.
        cause: String,
    },
    /// A step of the Dockerfile failed.
    #[error("building the image {name:?} failed: {message}\n{log}")]
    Failed {
        /// The image.
        name: String,
        /// What the engine says.
        message: String,
        /// The end of the build's output.
        log: String,
    },
    /// The build took too long.
    #[error("building the image {name:?} took longer than {} s", .after.as_secs())]
    TimedOut {
        /// The image.
        name: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The image cannot be used.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// One of our images in the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedImage {
    /// Of its folder.
    pub name: String,
    /// `sha256:…`.
    pub id: String,
    /// All of them; the current one has `latest` among them.
    pub tags: Vec<String>,
    /// Size with all its layers.
    pub size_bytes: u64,
}

/// Finds an image by name.
///
/// # Errors
/// When it was not built, or cannot be used.
pub async fn resolve(engine: &Engine, name: &str) -> Result<Image, ImageError> {
    inspect(engine, name, &format!("assay/{name}:latest"))
        .await?
        .ok_or_else(|| ImageError::Missing {
            name: name.to_owned(),
        })
}

/// Builds an image from its folder unless it is there already, and makes it the current one of its name. Every line of
/// the build's output goes to `progress`. Dropping the future ends the build.
///
/// # Errors
/// When the base image is missing, a step fails or the build takes too long.
pub async fn build(
    engine: &Engine,
    folder: &ImageFolder,
    options: &BuildOptions,
    progress: &mut (dyn FnMut(&str) + Send),
) -> Result<Image, BuildError> {
    let name = folder.name();
    let base = if folder.dockerfile().contains(BASE) {
        base_image(engine).await?
    } else {
        String::new()
    };
    let tag = format!("assay/{name}:{}", folder.digest(&base, options));
    let image = match inspect(engine, name, &tag).await? {
        Some(image) => image,
        None => {
            let limit = options.timeout;
            match tokio::time::timeout(limit, run(engine, folder, options, &tag, progress)).await {
                Ok(built) => built?,
                Err(_) => {
                    return Err(BuildError::TimedOut {
                        name: name.to_owned(),
                        after: limit,
                    });
                }
            }
            inspect(engine, name, &tag)
                .await?
                .ok_or_else(|| ImageError::Missing {
                    name: name.to_owned(),
                })?
        }
    };
    let latest = TagImageOptionsBuilder::new()
        .repo(&format!("assay/{name}"))
        .tag("latest")
        .build();
    call(
        "tag an image",
        QUICK,
        engine.docker().tag_image(&image.id, Some(latest)),
    )
    .await?;
    Ok(image)
}

/// All our images, in the order of their names and tags.
///
/// # Errors
/// When the engine fails.
pub async fn list(engine: &Engine) -> Result<Vec<ListedImage>, EngineError> {
    let filters = HashMap::from([("label", vec![IMAGE_LABEL])]);
    let options = ListImagesOptionsBuilder::new().filters(&filters).build();
    let found = call("list images", QUICK, engine.docker().list_images(Some(options))).await?;
    let mut images: Vec<ListedImage> = found
        .into_iter()
        .filter_map(|image| {
            let name = image.labels.get(IMAGE_LABEL)?.clone();
            let mut tags = image.repo_tags;
            tags.sort();
            Some(ListedImage {
                name,
                id: image.id,
                tags,
                size_bytes: u64::try_from(image.size).unwrap_or(0),
            })
        })
        .collect();
    images.sort_by(|a, b| (&a.name, &a.tags).cmp(&(&b.name, &b.tags)));
    Ok(images)
}

/// Removes those of our images that are not the current ones of their names. Those in use stay. Returns what went.
///
/// # Errors
/// When the engine cannot list images. That one cannot be removed is no error.
pub async fn prune(engine: &Engine) -> Result<Vec<ListedImage>, EngineError> {
    let mut removed = Vec::new();
    for image in list(engine).await? {
        if image.tags.iter().any(|tag| tag.ends_with(":latest")) {
            continue;
        }
        // By tag, since an image with several tags cannot be removed by its id without force.
        let names = if image.tags.is_empty() {
            vec![image.id.clone()]
        } else {
            image.tags.clone()
        };
        let mut gone = true;
        for name in names {
            let remove = engine
                .docker()
                .remove_image(&name, None::<RemoveImageOptions>, None);
            gone &= call("remove an image", SLOW, remove).await.is_ok();
        }
        if gone {
            removed.push(image);
        }
    }
    Ok(removed)
}

async fn inspect(engine: &Engine, name: &str, tag: &str) -> Result<Option<Image>, ImageError> {
    let image = match call("inspect an image", QUICK, engine.docker().inspect_image(tag)).await {
        Ok(image) => image,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let volumes = image.config.and_then(|config| config.volumes).unwrap_or_default();
    if !volumes.is_empty() {
        return Err(ImageError::DeclaresVolumes {
            name: name.to_owned(),
            volumes,
        });
    }
    let id = image.id.unwrap_or_default();
    let digest = |tag: &String| tag.starts_with(&format!("assay/{name}:")) && !tag.ends_with(":latest");
    let tag = image
        .repo_tags
        .unwrap_or_default()
        .into_iter()
        .find(digest)
        .unwrap_or_else(|| tag.to_owned());
    Ok(Some(Image {
        name: name.to_owned(),
        id,
        tag,
    }))
}

/// The id of the base image, which is fetched when it is not here.
async fn base_image(engine: &Engine) -> Result<String, BuildError> {
    let docker = engine.docker();
    let find = || call("inspect the base image", QUICK, docker.inspect_image(BASE));
    match find().await {
        Ok(image) => return Ok(image.id.unwrap_or_default()),
        Err(error) if error.is_missing() => {}
        Err(error) => return Err(error.into()),
    }
    let missing = |cause: String| BuildError::BaseMissing { cause };
    let pull = async {
        let options = CreateImageOptionsBuilder::new().from_image(BASE).build();
        let mut steps = docker.create_image(Some(options), None, None);
        while let Some(step) = steps.next().await {
            step.map_err(|error| missing(translate("fetch the base image", error).to_string()))?;
        }
        Ok::<(), BuildError>(())
    };
    match tokio::time::timeout(PULL, pull).await {
        Ok(pulled) => pulled?,
        Err(_) => return Err(missing(format!("it took longer than {} s", PULL.as_secs()))),
    }
    let image = find().await.map_err(|error| missing(error.to_string()))?;
    Ok(image.id.unwrap_or_default())
}

async fn run(
    engine: &Engine,
    folder: &ImageFolder,
    options: &BuildOptions,
    tag: &str,
    progress: &mut (dyn FnMut(&str) + Send),
) -> Result<(), BuildError> {
    let name = folder.name();
    let args: HashMap<&str, &str> = options
        .args
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let labels = HashMap::from([(IMAGE_LABEL, name)]);
    let mut request = BuildImageOptionsBuilder::new()
        .t(tag)
        .rm(true)
        .forcerm(true)
        .buildargs(&args)
        .labels(&labels);
    if options.host_network {
        request = request.networkmode("host");
    }
    let context = folder.context(options).map_err(|error| BuildError::Failed {
        name: name.to_owned(),
        message: error.to_string(),
        log: String::new(),
    })?;
    let body = bollard::body_full(context.into());
    let mut steps = std::pin::pin!(engine.docker().build_image(request.build(), None, Some(body)));
    let mut log = Log::default();
    while let Some(step) = steps.next().await {
        let failed = |message: String, log: &Log| BuildError::Failed {
            name: name.to_owned(),
            message,
            log: log.text(),
        };
        match step {
            Ok(BuildInfo {
                error_detail: Some(error),
                ..
            }) => {
                return Err(failed(error.message.unwrap_or_default(), &log));
            }
            Ok(BuildInfo {
                stream: Some(text), ..
            }) => log.add(&text, progress),
            Ok(_) => {}
            Err(bollard::errors::Error::DockerStreamError { error }) => return Err(failed(error, &log)),
            Err(error) => return Err(translate("build an image", error).into()),
        }
    }
    Ok(())
}

/// The last lines of a build.
#[derive(Default)]
struct Log {
    lines: std::collections::VecDeque<String>,
}

impl Log {
    fn add(&mut self, text: &str, progress: &mut (dyn FnMut(&str) + Send)) {
        for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            let line = &line[..line.floor_char_boundary(MAX_LINE_BYTES)];
            progress(line);
            self.lines.push_back(line.to_owned());
            if self.lines.len() > SHOWN_LINES {
                self.lines.pop_front();
            }
        }
    }

    fn text(&self) -> String {
        self.lines
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n")
    }
}
