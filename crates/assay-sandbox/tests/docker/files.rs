//! Files in and out, with candidates who prepared the ground.

use assay_sandbox::{AskError, Command, Content, ErrorKind, Mount, TreeCaps, TreeEntry, VolumeSpec, Written};
use futures_util::stream;

use crate::{limits, with_bench};

fn file(path: &str, bytes: &[u8]) -> TreeEntry {
    TreeEntry {
        path: path.to_owned(),
        content: Content::File {
            bytes: bytes.into(),
            executable: false,
        },
    }
}

fn volume(name: &str) -> VolumeSpec {
    VolumeSpec {
        name: name.to_owned(),
        bytes: 8 << 20,
        inodes: 500,
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, AskError>) -> ErrorKind {
    match result {
        Err(AskError::Refused(error)) => error.kind,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_tree_goes_in_is_seen_read_only_and_comes_out() {
    with_bench(async |bench| {
        let volumes = bench.run.volumes(&[volume("src"), volume("out")]).await.unwrap();
        let large: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
        let link = Content::Link {
            target: "../large".to_owned(),
        };
        let program = Content::File {
            bytes: b"#!/bin/sh\necho ran\n".to_vec(),
            executable: true,
        };
        let tree = [
            file("large", &large),
            file("empty", b""),
            file("name with\nnewline and ü", b"x"),
            TreeEntry {
                path: "bin/run".to_owned(),
                content: program,
            },
            TreeEntry {
                path: "bin/link".to_owned(),
                content: link,
            },
        ];
        let written = volumes.write_tree("src", stream::iter(tree)).await.unwrap();
        assert_eq!(
            written,
            Written {
                bytes: 1_000_020,
                entries: 5
            }
        );

        let mounts = vec![
            Mount::read_only(volumes.get("src").unwrap(), "/src"),
            Mount::writable(volumes.get("out").unwrap(), "/out"),
        ];
        let container = bench.container_with(limits(), mounts).await;
        let look = "./bin/run; cmp bin/link large && cp bin/link /out/copy; touch /src/new || echo read-only";
        let seen = container.exec(Command::shell(look).cwd("/src")).await.unwrap();
        assert_eq!(seen.stdout.text(), "ran\nread-only\n");
        assert_eq!(volumes.read_file("out", "copy", 1_000_000).await.unwrap(), large);
        assert_eq!(volumes.read_file("src", "empty", 0).await.unwrap(), b"");
        assert_eq!(
            refused(volumes.read_file("nowhere", "x", 1).await),
            ErrorKind::NotFound
        );
    })
    .await;
}

#[tokio::test]
async fn a_bad_entry_ends_the_tree() {
    with_bench(async |bench| {
        let volumes = bench.run.volumes(&[volume("src")]).await.unwrap();
        for (entry, kind) in [
            (file("../x", b""), ErrorKind::BadRequest),
            (file("/x", b""), ErrorKind::BadRequest),
            (file("a/./b", b""), ErrorKind::BadRequest),
            (file(&"x".repeat(300), b""), ErrorKind::BadRequest),
            (file("twice", b""), ErrorKind::BadRequest),
            (
                TreeEntry {
                    path: "l".to_owned(),
                    content: Content::Link {
                        target: "/etc".to_owned(),
                    },
                },
                ErrorKind::Escapes,
            ),
            (file("huge", &vec![0; 9 << 20]), ErrorKind::Full),
        ] {
            let before = file("twice", b"");
            volumes.remove_tree("src", "").await.unwrap();
            assert_eq!(
                refused(volumes.write_tree("src", stream::iter([before, entry])).await),
                kind
            );
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_not_a_plain_file_is_not_read() {
    with_bench(async |bench| {
        let volumes = bench.run.volumes(&[volume("out")]).await.unwrap();
        let mounts = vec![Mount::writable(volumes.get("out").unwrap(), "/out")];
        let container = bench.container_with(limits(), mounts).await;
        let traps = "ln -s /etc/passwd link; ln -s /etc dir; mkfifo fifo; mkdir d; head -c 1M /dev/zero >huge; \
                     echo x >secret; chmod 0 secret; ln huge hard";
        assert!(container.exec(Command::shell(traps).cwd("/out")).await.is_ok());
        for (path, kind) in [
            ("link", ErrorKind::Escapes),
            ("dir/passwd", ErrorKind::Escapes),
            ("fifo", ErrorKind::WrongType),
            ("d", ErrorKind::WrongType),
            ("huge", ErrorKind::TooLarge),
            ("secret", ErrorKind::Denied),
            ("hard", ErrorKind::TooLarge),
            ("none", ErrorKind::NotFound),
            ("../x", ErrorKind::BadRequest),
        ] {
            assert_eq!(refused(volumes.read_file("out", path, 1000).await), kind, "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_tree_is_copied_within_caps() {
    with_bench(async |bench| {
        let volumes = bench.run.volumes(&[volume("from"), volume("to")]).await.unwrap();
        let mounts = vec![Mount::writable(volumes.get("from").unwrap(), "/from")];
        let container = bench.container_with(limits(), mounts).await;
        let tree = "mkdir -p a/b; echo text >a/b/c; ln -s b/c a/in; ln -s /etc/passwd a/out; mkfifo a/fifo";
        assert!(
            container
                .exec(Command::shell(tree).cwd("/from"))
                .await
                .unwrap()
                .success()
        );
        let caps = TreeCaps {
            bytes: 100,
            entries: 10,
            depth: 5,
        };
        let copied = volumes
            .copy_tree(("from", ""), ("to", "deep/er"), caps)
            .await
            .unwrap();
        assert_eq!((copied.bytes, copied.entries, copied.left_out), (5, 4, 2));
        assert_eq!(
            volumes.read_file("to", "deep/er/a/b/c", 100).await.unwrap(),
            b"text\n"
        );
        let tight = TreeCaps { depth: 1, ..caps };
        assert_eq!(
            refused(volumes.copy_tree(("from", ""), ("to", ""), tight).await),
            ErrorKind::TooLarge
        );
    })
    .await;
}
