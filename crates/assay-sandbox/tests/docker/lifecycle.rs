//! Nothing is left: on success, on failure, on cancellation, and when the owner just goes away.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use assay_sandbox::{
    AskError, Command, Content, Death, Engine, Mount, PruneCaches, Run, RunSpec, StartError, Target,
    TreeCaps, TreeEntry, VolumeSpec,
};
use bollard::query_parameters::{
    KillContainerOptions, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder, RemoveVolumeOptions,
};
use tokio_util::sync::CancellationToken;

use crate::{Bench, address, bench, left, limits, with_bench};

/// Long enough that the runs of other tests, which are other processes to each other's engines, are not swept.
const IDLE: Duration = Duration::from_secs(15);

fn volume(name: &str) -> VolumeSpec {
    VolumeSpec {
        name: name.to_owned(),
        bytes: 1 << 20,
        inodes: 100,
    }
}

#[tokio::test]
async fn a_run_removes_everything_that_it_created() {
    with_bench(async |bench| {
        let volumes = bench.run.volumes(&[volume("a"), volume("b")]).await.unwrap();
        bench.container().await;
        bench.container().await;
        let (containers, created) = left(&bench.docker, bench.run.id()).await;
        assert_eq!(
            (containers, created),
            (5, 2),
            "a holder, two pods with a container each; the agent's volume is nobody's"
        );
        drop(volumes);
        bench.run.destroy(Duration::from_secs(60)).await.unwrap();
        assert_eq!(left(&bench.docker, bench.run.id()).await, (0, 0));
        let late = bench.run.pod().await.unwrap_err();
        assert!(matches!(late, StartError::Cancelled), "{late:?}");
    })
    .await;
}

#[tokio::test]
async fn a_container_that_cannot_start_leaves_nothing() {
    with_bench(async |bench| {
        let pod = bench.run.pod().await.unwrap();
        let mut spec = bench.spec(limits(), vec![]);
        spec.image.id = format!("sha256:{}", "0".repeat(64));
        let error = pod.container(spec).await.unwrap_err();
        assert!(matches!(error, StartError::ImageMissing { .. }), "{error:?}");

        let mut spec = bench.spec(limits(), vec![]);
        spec.limits.cpuset = Some("99".to_owned());
        let error = pod.container(spec).await.unwrap_err();
        assert!(matches!(error, StartError::Engine(_)), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn cancellation_ends_every_wait_and_not_the_removal() {
    with_bench(async |bench| {
        let container = bench.container().await;
        let service = container.spawn(Command::new(["sleep", "60"])).await.unwrap();
        let pod = bench.run.pod().await.unwrap();
        let cancel = bench.cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            cancel.cancel();
        });
        let began = Instant::now();
        let long = Duration::from_secs(60);
        let (exec, exited, wait) = tokio::join!(
            container.exec(Command::new(["sleep", "60"])),
            service.exited(),
            pod.wait(Target::Tcp { port: 1 }, long, Duration::from_millis(20)),
        );
        assert_eq!(exec.unwrap_err(), AskError::Cancelled);
        assert_eq!(exited.unwrap_err(), AskError::Cancelled);
        assert_eq!(wait.unwrap_err(), AskError::Cancelled);
        assert!(matches!(bench.run.pod().await, Err(StartError::Cancelled)));
        assert!(began.elapsed() < Duration::from_secs(5));
    })
    .await;
}

#[tokio::test]
async fn a_start_that_is_cancelled_half_way_leaves_nothing() {
    with_bench(async |bench| {
        for delay_ms in [0, 5, 20, 60, 150] {
            let run = another_run(bench, &format!("cancelled-{delay_ms}-{}", bench.run.id())).await;
            let pod = run.pod();
            // The future is dropped, as it is by a `select!` elsewhere.
            drop(tokio::time::timeout(Duration::from_millis(delay_ms), pod).await);
            run.destroy(Duration::from_secs(60)).await.unwrap();
            assert_eq!(left(&bench.docker, run.id()).await, (0, 0), "after {delay_ms} ms");
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_dropped_run_leaves_is_swept() {
    let Some(bench) = bench().await else { return };
    let Bench {
        engine, docker, run, ..
    } = bench;
    let id = run.id().to_owned();
    run.volumes(&[volume("a")]).await.unwrap();
    engine.sweep(IDLE).await.unwrap();
    assert_eq!(left(&docker, &id).await, (1, 1), "a live run is left alone");
    drop(run);
    // The agents' conversations hold on to nothing of the run.
    engine.sweep(IDLE).await.unwrap();
    assert_eq!(left(&docker, &id).await, (0, 0));
}

#[tokio::test]
async fn a_worker_removes_what_its_former_life_left_and_nothing_else() {
    with_bench(async |bench| {
        let id = format!("owned-{}", bench.run.id());
        let owner = format!("worker-{id}");
        let spec = |id: &str| RunSpec {
            id: id.to_owned(),
            owner: Some(owner.clone()),
            expires_in: Duration::from_secs(600),
            drive: bench.drive.clone(),
        };
        // The former life: an engine of its own, so that nobody here knows of the run.
        let former = Engine::connect(address().as_deref(), None).await.unwrap();
        let left_behind = Run::start(&former, spec(&id), CancellationToken::new())
            .await
            .unwrap();
        left_behind.pod().await.unwrap();
        let live = Run::start(&bench.engine, spec(&format!("{id}-2")), CancellationToken::new())
            .await
            .unwrap();
        live.pod().await.unwrap();
        bench.engine.sweep_owned("somebody-else").await.unwrap();
        assert_eq!(left(&bench.docker, &id).await, (1, 0));
        bench.engine.sweep_owned(&owner).await.unwrap();
        assert_eq!(left(&bench.docker, &id).await, (0, 0));
        assert_eq!(
            left(&bench.docker, live.id()).await,
            (1, 0),
            "it is under way here"
        );
        live.destroy(Duration::from_secs(60)).await.unwrap();
        left_behind.destroy(Duration::from_secs(60)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_containers_of_a_dead_process_end_and_are_swept_by_another() {
    let Some(bench) = bench().await else { return };
    // A process that dies: its runtime goes, and with it every connection, but nothing is destroyed.
    let id = format!("dead-{}", bench.run.id());
    let spec = RunSpec {
        id: id.clone(),
        owner: None,
        expires_in: Duration::from_secs(600),
        drive: bench.drive.clone(),
    };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let engine = Engine::connect(address().as_deref(), None).await.unwrap();
            let run = Run::start(&engine, spec, CancellationToken::new()).await.unwrap();
            run.pod().await.unwrap();
            std::mem::forget(run);
        });
    })
    .join()
    .unwrap();
    let began = Instant::now();
    while left(&bench.docker, &id).await != (0, 0) {
        assert!(began.elapsed() < IDLE * 3, "{:?}", left(&bench.docker, &id).await);
        bench.engine.sweep(IDLE).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    bench.run.destroy(Duration::from_secs(60)).await.unwrap();
}

#[tokio::test]
async fn a_container_killed_from_outside_is_reported_as_such() {
    with_bench(async |bench| {
        let container = bench.container().await;
        let waiting = container.spawn(Command::new(["sleep", "60"])).await.unwrap();
        bench
            .docker
            .kill_container(container.name(), None::<KillContainerOptions>)
            .await
            .unwrap();
        let death = Death::Ended { code: Some(137) };
        assert_eq!(container.death().await, death);
        assert!(!death.is_platforms_fault());
        assert_eq!(waiting.exited().await.unwrap_err(), AskError::Lost(death.clone()));
        assert_eq!(
            container.exec(Command::new(["true"])).await.unwrap_err(),
            AskError::Lost(death)
        );

        let container = bench.container().await;
        let force = RemoveContainerOptionsBuilder::new().force(true).build();
        bench
            .docker
            .remove_container(container.name(), Some(force))
            .await
            .unwrap();
        assert!(matches!(container.death().await, Death::Ended { .. }));

        let container = bench.container().await;
        container.remove().await.unwrap();
        assert_eq!(container.death().await, Death::Removed);
    })
    .await;
}

#[tokio::test]
async fn a_cache_is_published_once_and_outlives_its_run() {
    let Some(bench) = bench().await else { return };
    let key = format!("key {}", bench.run.id());
    let caps = TreeCaps {
        bytes: 1 << 20,
        entries: 50,
        depth: 5,
    };
    let volumes = bench.run.volumes(&[volume("deps")]).await.unwrap();
    assert_eq!(bench.engine.cached(&key).await.unwrap(), None);
    let file = |text: &str| TreeEntry {
        path: "lib/file".to_owned(),
        content: Content::File {
            bytes: text.into(),
            executable: false,
        },
    };
    volumes
        .write_tree("deps", futures_util::stream::iter([file("one")]))
        .await
        .unwrap();
    let deps = volumes.get("deps").unwrap();
    let (published, copied) = bench.run.publish_cache(&key, deps, caps).await.unwrap();
    assert_eq!((copied.bytes, copied.entries), (3, 2));

    // A second publisher gets the first one's.
    let second = another_run(&bench, &format!("second-{}", bench.run.id())).await;
    let volumes = second.volumes(&[volume("deps")]).await.unwrap();
    volumes
        .write_tree("deps", futures_util::stream::iter([file("two")]))
        .await
        .unwrap();
    let (again, _) = second
        .publish_cache(&key, volumes.get("deps").unwrap(), caps)
        .await
        .unwrap();
    assert_eq!(again, published);
    bench.run.destroy(Duration::from_secs(60)).await.unwrap();

    assert_eq!(bench.engine.cached(&key).await.unwrap(), Some(published.clone()));
    let pod = second.pod().await.unwrap();
    let mounts = vec![Mount::cached(&published, "/deps")];
    let reader = pod.container(bench.spec(limits(), mounts)).await.unwrap();
    let read = reader
        .exec(Command::shell("cat /deps/lib/file; echo x >/deps/y"))
        .await
        .unwrap();
    assert_eq!((read.stdout.text().as_str(), read.success()), ("one", false));
    second.destroy(Duration::from_secs(60)).await.unwrap();

    let none = PruneCaches {
        older_than: Duration::from_secs(86_400 * 365),
        keep: usize::MAX,
    };
    assert_eq!(bench.engine.prune_caches(none).await.unwrap(), 0);
    assert!(bench.engine.cached(&key).await.unwrap().is_some());
    // What pruning does to a cache that is chosen, without touching those of others on this machine.
    let filters = HashMap::from([("label", vec![format!("assay.cache.key={key}")])]);
    let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
    for volume in bench
        .docker
        .list_volumes(Some(options))
        .await
        .unwrap()
        .volumes
        .unwrap()
    {
        bench
            .docker
            .remove_volume(&volume.name, None::<RemoveVolumeOptions>)
            .await
            .unwrap();
    }
    assert_eq!(bench.engine.cached(&key).await.unwrap(), None);

    let third = another_run(&bench, &format!("third-{}", bench.run.id())).await;
    let pod = third.pod().await.unwrap();
    let mounts = vec![Mount::cached(&published, "/deps")];
    let gone = pod.container(bench.spec(limits(), mounts)).await.unwrap_err();
    assert!(matches!(gone, StartError::CacheGone { .. }), "{gone:?}");
    third.destroy(Duration::from_secs(60)).await.unwrap();
}

async fn another_run(bench: &Bench, id: &str) -> Run {
    let id = id[..id.len().min(40)].to_owned();
    let spec = RunSpec {
        id,
        owner: None,
        expires_in: Duration::from_secs(600),
        drive: bench.drive.clone(),
    };
    Run::start(&bench.engine, spec, CancellationToken::new())
        .await
        .unwrap()
}
