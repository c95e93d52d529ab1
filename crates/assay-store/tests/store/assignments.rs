use assay_core::assignment::AssignmentState;
use assay_core::exercise::SubmitOn;
use assay_core::id::AssignmentId;
use assay_store::StoreError;
use assay_store::model::{
    Assignment, AssignmentChange, AssignmentFilter, AssignmentSort, Candidate, Connection, ForgeKind, Origin,
    PageRequest,
};

use crate::world::{World, assignment, first};

async fn connection(world: &World) {
    let connection = Connection {
        id: "lab".parse().unwrap(),
        forge: ForgeKind::GitLab,
        base_url: "https://gitlab.example.org".to_owned(),
        api_url: "https://gitlab.example.org/api/v4".to_owned(),
        exercise: "task-sync".to_owned(),
        track: "python".to_owned(),
        repositories: vec!["hiring/*".to_owned()],
        sealed_secrets: vec![0, 1],
        created_at_ms: 1,
        disabled_at_ms: None,
    };
    world.store.create_connection(&connection).await.unwrap();
}

fn at_forge(id: &str, repository: &str) -> Assignment {
    Assignment {
        origin: Origin::Forge {
            connection: "lab".parse().unwrap(),
            repository: repository.to_owned(),
        },
        ..assignment(id)
    }
}

pub(crate) async fn an_assignment_is_read_back(world: World) {
    connection(&world).await;
    let store = &world.store;
    let full = Assignment {
        state: AssignmentState::Closed,
        submit_on: SubmitOn::Tag,
        extended_to_ms: Some(2),
        retain_until_ms: Some(3),
        archived_at_ms: Some(4),
        ..at_forge("full", "hiring/ada")
    };
    let bare = Assignment {
        candidate: None,
        attempts: None,
        due_at_ms: None,
        created_by: None,
        ..assignment("bare")
    };
    for assignment in [&full, &bare] {
        store.create_assignment(assignment).await.unwrap();
        assert_eq!(
            store.assignment(&assignment.id).await.unwrap().as_ref(),
            Some(assignment)
        );
    }
    assert_eq!(store.assignment(&"none".parse().unwrap()).await.unwrap(), None);
    let lab = "lab".parse().unwrap();
    assert_eq!(
        store.forge_assignment(&lab, "hiring/ada").await.unwrap(),
        Some(full)
    );
    assert_eq!(store.forge_assignment(&lab, "hiring/bob").await.unwrap(), None);
    let second = store.create_assignment(&at_forge("second", "hiring/ada")).await;
    assert!(matches!(second, Err(StoreError::Exists { .. })), "{second:?}");
}

pub(crate) async fn a_change_leaves_the_rest(world: World) {
    let id = world.assignment("ada").await;
    let before = world.store.assignment(&id).await.unwrap().unwrap();
    let change = AssignmentChange {
        extended_to_ms: Some(Some(5)),
        attempts: Some(None),
        ..AssignmentChange::default()
    };
    let after = world.store.change_assignment(&id, &change).await.unwrap();
    let expected = Assignment {
        extended_to_ms: Some(5),
        attempts: None,
        ..before
    };
    assert_eq!(after, expected);
    assert_eq!(world.store.assignment(&id).await.unwrap(), Some(expected.clone()));
    let nothing = AssignmentChange::default();
    assert_eq!(
        world.store.change_assignment(&id, &nothing).await.unwrap(),
        expected
    );
    let erased = AssignmentChange {
        state: Some(AssignmentState::Erased),
        ..AssignmentChange::default()
    };
    assert!(world.store.change_assignment(&id, &erased).await.is_err());
}

/// All ids of a list, page by page.
async fn list(world: &World, filter: &AssignmentFilter, limit: u32) -> String {
    let mut ids: Vec<AssignmentId> = Vec::new();
    let mut request = first(limit);
    loop {
        let page = world.store.assignments(filter, &request).await.unwrap();
        assert!(page.rows.len() <= limit as usize);
        ids.extend(page.rows.into_iter().map(|row| row.assignment.id));
        match page.next {
            Some(next) => request.after = Some(next),
            None => break,
        }
    }
    ids.iter().map(AssignmentId::as_str).collect::<Vec<_>>().join(" ")
}

pub(crate) async fn lists_are_sorted_filtered_and_paged(world: World) {
    let store = &world.store;
    for (id, name) in [
        ("a1", Some("Zoë")),
        ("a2", Some("ada 100%")),
        ("a3", None),
        ("a4", Some("Émile")),
        ("a5", Some("ADA_2")),
    ] {
        let assignment = Assignment {
            candidate: name.map(|name| Candidate {
                name: name.to_owned(),
                email: None,
            }),
            exercise: if id == "a4" { "other" } else { "task-sync" }.to_owned(),
            created_at_ms: world.tick(),
            ..assignment(id)
        };
        store.create_assignment(&assignment).await.unwrap();
    }
    // a2 has 50 points and then 90; a1 60; a5 waits again after 99; a3 and a4 have none.
    for (id, run, total) in [
        ("a2", "r1", 5_000),
        ("a1", "r2", 6_000),
        ("a2", "r3", 9_000),
        ("a5", "r4", 9_900),
    ] {
        world.push(&id.parse().unwrap(), run).await;
        world.score(total).await;
    }
    world.push(&"a5".parse().unwrap(), "r5").await;

    let sorted = |sort| AssignmentFilter {
        sort,
        ..AssignmentFilter::default()
    };
    for limit in [1, 2, 100] {
        for (sort, expected) in [
            (AssignmentSort::Newest, "a5 a4 a3 a2 a1"),
            (AssignmentSort::Candidate, "a2 a5 a1 a4 a3"),
            (AssignmentSort::Score, "a2 a1 a5 a4 a3"),
            (AssignmentSort::Activity, "a5 a2 a1 a4 a3"),
        ] {
            assert_eq!(
                list(&world, &sorted(sort), limit).await,
                expected,
                "{sort:?} by {limit}"
            );
        }
    }
    for (text, expected) in [
        ("ada", "a5 a2"),
        ("É", "a4"),
        ("%", "a2"),
        ("_", "a5"),
        ("!", ""),
        ("A3", "a3"),
        ("\0", ""),
        ("'; DROP TABLE runs; --", ""),
        ("", "a5 a4 a3 a2 a1"),
    ] {
        let filter = AssignmentFilter {
            text: Some(text.to_owned()),
            ..AssignmentFilter::default()
        };
        assert_eq!(list(&world, &filter, 1).await, expected, "{text:?}");
    }
    let filter = AssignmentFilter {
        exercise: Some("task-sync".to_owned()),
        state: Some(AssignmentState::Open),
        text: Some("ada".to_owned()),
        sort: AssignmentSort::Score,
    };
    assert_eq!(list(&world, &filter, 1).await, "a2 a5");

    let row = store
        .assignment_row(&"a5".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((row.n_runs, row.n_attempts_used), (2, 2));
    assert_eq!(row.latest.unwrap().id.as_str(), "r5");
    let row = store
        .assignment_row(&"a2".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.latest.unwrap().score.unwrap().total_hundredths, 9_000);

    let nowhere = PageRequest {
        after: Some("' OR 1=1 --".to_owned()),
        limit: 10,
    };
    let error = store
        .assignments(&AssignmentFilter::default(), &nowhere)
        .await
        .unwrap_err();
    insta::assert_snapshot!(error, @"`' OR 1=1 --` is no place in this list (hint: give back `next` of the page before)");
}

pub(crate) async fn what_is_due_is_archived(world: World) {
    connection(&world).await;
    use AssignmentState::{Archived, Closed, Open};
    for (id, state, retain_until_ms, archived_at_ms) in [
        ("over", Open, Some(100), None),
        ("open", Open, None, None),
        ("closed", Closed, None, None),
        ("kept", Closed, Some(101), None),
        ("done", Archived, Some(1), Some(2)),
    ] {
        let assignment = Assignment {
            state,
            retain_until_ms,
            archived_at_ms,
            ..assignment(id)
        };
        world.store.create_assignment(&assignment).await.unwrap();
    }
    let elsewhere = Assignment {
        retain_until_ms: Some(1),
        ..at_forge("elsewhere", "hiring/ada")
    };
    world.store.create_assignment(&elsewhere).await.unwrap();
    let due = world.store.due_for_archive(100).await.unwrap();
    let due: Vec<&str> = due.iter().map(|assignment| assignment.id.as_str()).collect();
    assert_eq!(due, ["closed", "over"]);
}
