//! One suite on both databases. PostgreSQL's half runs where `ASSAY_TEST_POSTGRES` has the address of a server to make
//! databases in, see `ci/postgres`; elsewhere it is skipped, and with `ASSAY_REQUIRE_DOCKER=1`, as in CI, fails.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what the tests share is a test, too"
)]

mod accounts;
mod assignments;
mod attestations;
mod audit;
mod blobs;
mod erasure;
mod forges;
mod migrations;
mod operations;
mod queue;
mod races;
mod world;

/// Each check is a test on SQLite and a test on PostgreSQL.
macro_rules! on_both {
    ($($module:ident: $($check:ident)*;)*) => {
        mod sqlite {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $check() {
                    crate::$module::$check(crate::world::World::on_sqlite().await).await;
                }
            )*)*
        }

        mod postgres {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $check() {
                    if let Some(world) = crate::world::World::on_postgres().await {
                        crate::$module::$check(world).await;
                    }
                }
            )*)*
        }
    };
}

on_both! {
    accounts:
        accounts_are_found_and_changed
        a_login_belongs_to_one
        tokens_open_while_they_live
        a_request_that_comes_twice_is_answered_once;
    assignments:
        an_assignment_is_read_back
        a_change_leaves_the_rest
        lists_are_sorted_filtered_and_paged
        what_is_due_is_archived;
    attestations:
        scorecards_are_signed_in_a_chain
        what_is_changed_in_the_database_shows
        an_erased_candidate_leaves_a_chain_that_holds
        runs_without_a_score_are_links_too;
    audit:
        the_end_of_the_trail_is_signed
        a_trail_of_before_is_signed_once
        the_trail_is_a_chain
        every_change_breaks_the_chain;
    blobs:
        a_blob_is_what_its_digest_says
        a_row_needs_its_blob
        what_nothing_refers_to_goes;
    erasure:
        a_candidate_is_forgotten
        what_others_refer_to_stays
        nothing_comes_back;
    forges:
        connections_are_kept
        a_delivery_counts_once
        what_is_to_be_told_waits_until_it_was;
    migrations:
        migrations_are_applied_once_over_what_is_there;
    operations:
        no_sequence_of_operations_breaks_the_invariants;
    queue:
        a_run_lives_once
        a_newer_commit_supersedes_what_waits
        the_same_commit_waits_once
        runs_begin_in_order
        attempts_are_counted
        a_lost_lease_changes_nothing
        lost_workers_cost_executions
        interruptions_cost_no_executions
        attempts_are_limited
        a_run_is_cancelled
        events_are_bounded
        scorecards_have_versions
        watchers_are_told
        numbers_add_up;
    races:
        nobody_claims_what_another_has
        a_run_is_superseded_or_claimed
        no_attempt_too_many_is_granted
        a_run_finishes_or_expires
        many_pushes_of_one_commit_are_one_run
        numbers_have_no_gaps;
}
