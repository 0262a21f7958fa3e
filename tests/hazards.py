"""Which interleavings break a simpler version of this design, and which tests produce each?

H1 to H49, found by reviewing earlier drafts with a model checker, on PostgreSQL and in the source
of the Kafka client; the numbers are those that comments in the code refer to. `pytest --hazard H7`
runs the tests of one of them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

SIMULATION: Final = "test_every_promise_holds_whatever_chance_plans"
MUTANT: Final = "test_a_promise_breaks_without"


class Hazard(NamedTuple):
    """What goes wrong in a simpler design, what this one does, and the tests that produce it."""

    breaks: str
    answer: str
    tests: tuple[str, ...]
    missing: str = ""
    """What no test produces yet, and why."""


HAZARDS: Final = {
    "H1": Hazard(
        "PostgreSQL fails over to a standby that lags: effect and ledger row are gone, the position"
        " in Kafka is past the job.",
        "Positions live in the ledger's database and are lost together with it; system and timeline"
        " are compared at each connection, and on a change everything is taken over anew.",
        (
            "test_what_a_lagging_standby_never_heard_of_is_done_again",
            "test_another_database_makes_a_worker_take_everything_over_anew",
            SIMULATION,
        ),
    ),
    "H2": Hazard(
        "A zombie's handler without a transaction passes all checks and completes a job whose"
        " entity another worker has blocked.",
        "The flush is fenced by the partition's token; a lost race proves another owner.",
        (
            "test_a_flush_of_a_partition_that_has_another_owner_writes_and_publishes_nothing",
            "test_a_flush_writes_nothing_of_a_partition_that_has_another_owner",
            MUTANT,
        ),
    ),
    "H3": Hazard(
        "Parking races loading: two jobs of an entity wait for each other, or a late park"
        " overwrites a newer attempt.",
        "Token, the entity's lock, the row's revision, and one head per entity.",
        (
            "test_a_zombies_late_park_is_fenced",
            "test_a_late_park_of_an_older_attempt_overwrites_nothing",
            "test_of_two_that_park_one_entity_at_once_one_becomes_its_head",
        ),
    ),
    "H4": Hazard(
        "The handler leaves its transaction: by a rollback that is none, by a task that writes into"
        " the next job's, by a raw COMMIT.",
        "A session that joins the job's transaction, a proxy that is revoked, statements that are"
        " not sent.",
        (
            "test_what_a_handler_kept_cannot_write_into_the_next_jobs_transaction",
            "test_a_handler_that_ends_its_transaction_is_not_complete",
            "test_a_sessions_rollback_fails_the_attempt_and_says_so",
            "test_what_a_task_writes_that_outlives_its_handler_is_in_no_jobs_transaction",
        ),
    ),
    "H5": Hazard(
        "The ledger row dies before its record: a record can live longer than its age limit, and a"
        " producer's clock can be wrong.",
        "One clock for forgetting: positions and the log's own time of appending, never ages.",
        (
            "test_a_duplicate_from_within_the_seven_days_is_known_whenever_it_is_read",
            "test_a_duplicate_that_is_read_a_month_later_still_meets_the_first_end",
            "test_a_setting_that_loses_records_is_named",
        ),
    ),
    "H6": Hazard(
        "A lane's age limit deletes unread jobs, and reading jumps over the hole without a word.",
        "Lanes have no age limit; a place out of range is an incident that names the offsets.",
        (
            "test_a_position_below_the_start_of_the_log_is_one_clear_error",
            "test_a_log_that_was_cut_ends_the_worker_and_nothing_starts_any_more",
            "test_what_is_unread_is_not_cut_however_old_it_is",
        ),
    ),
    "H7": Hazard(
        "A worker loses only the group's coordinator: no heartbeat and no signal, and it goes on"
        " with what another one runs.",
        "It dispatches only while a heartbeat was acknowledged within half the session time-out.",
        (
            "test_a_worker_that_loses_the_coordinator_alone_harms_nothing",
            "test_a_worker_that_hears_nothing_of_its_group_starts_nothing",
            "test_a_worker_that_was_cut_off_and_followed_does_no_harm_when_it_comes_back",
            SIMULATION,
            MUTANT,
        ),
    ),
    "H8": Hazard(
        "A worker wakes after another one owned its partition in between, gets it again and takes"
        " it for kept.",
        "Kept only if the token is still its own and it was never let go.",
        (
            "test_a_partition_whose_token_was_taken_is_dropped_and_taken_over_anew",
            "test_a_worker_frozen_past_its_session_and_woken_does_nothing_twice",
            "test_nothing_of_an_old_spell_runs_when_the_partition_is_taken_over_anew",
            "test_a_partition_that_others_had_meanwhile_is_not_kept_by_who_was_not_heard",
        ),
    ),
    "H9": Hazard(
        "The log loses its end below a kept position: what is appended there later is never read.",
        "An end below the position stops the worker in one clear line; copies and an unclean"
        " election are asserted at start.",
        (
            "test_a_log_that_lost_its_end_below_a_position_ends_the_worker_in_one_line",
            "test_a_place_that_the_log_has_not_reached_is_a_hole_too",
            "test_a_single_copy_is_refused_unless_that_is_waived",
        ),
    ),
    "H10": Hazard(
        "An outcome turns out too large for a record after its COMMIT: it can never be published.",
        "It is encoded and measured before COMMIT; what is too large is a Reject.",
        (
            "test_an_outcome_over_its_limit_is_a_reject_and_what_it_wrote_is_undone",
            "test_a_result_that_cannot_be_kept_fails_in_one_line_and_undoes_what_was_written",
            "test_a_huge_foreign_record_fits_its_outcome_and_the_lane_goes_on",
        ),
    ),
    "H11": Hazard(
        "A waiting row's outcome is overwritten before it was published: an attempt is missing from"
        " the history.",
        "Outcomes are cumulative.",
        (
            "test_an_outcome_tells_every_attempt_its_error_and_when_the_next_is_due",
            "test_a_worker_may_die_at_any_call_while_jobs_wait",
        ),
    ),
    "H12": Hazard(
        "Two workers end one job differently, and the loser publishes its own end.",
        "Only bytes read back from the ledger or the waiting row are published.",
        ("test_the_winner_is_published_and_never_this_workers_own_bytes", SIMULATION),
    ),
    "H13": Hazard(
        "A cancel overtakes the record that it cancels, or finds only the generation before it.",
        "A cancel is an insert into the ledger for the generation as seen, legal before its record"
        " was.",
        (
            "test_a_replay_that_waits_unread_is_cancelled_and_never_runs",
            "test_a_job_cancelled_before_it_was_seen_never_runs",
            "test_a_retrying_job_is_cancelled_with_its_past_and_its_entity_goes_on",
        ),
    ),
    "H14": Hazard(
        "A replay under `block` lands behind the jobs that wait for it, or waits for the row that"
        " it is to replace.",
        "It is a command in the critical lane; the owner turns the blocking row in its place.",
        (
            "test_what_waits_behind_a_blocking_job_runs_after_its_replay_in_its_order",
            "test_what_waits_behind_a_blocking_job_keeps_its_order_over_its_replays",
        ),
    ),
    "H15": Hazard(
        "After a failover the rewound lane runs generation 1 although its replay is complete: both"
        " take effect.",
        "A generation is settled when a lower one is complete or cancelled or a higher one has a"
        " row.",
        (
            "test_a_generation_is_settled_once_a_later_one_has_a_row",
            "test_a_generation_that_ended_well_absorbs_the_later_ones",
        ),
    ),
    "H16": Hazard(
        "A zombie projector's late write brings a closed dead letter back to life.",
        "The topic holds facts, not states; the table is their fold in any order.",
        (
            "test_a_late_copy_of_a_death_opens_no_closed_letter",
            "test_a_letter_is_the_same_in_whatever_order_its_facts_come",
        ),
    ),
    "H17": Hazard(
        "A job kills its process, from a lane, from the waiting room or while it is decoded: its"
        " neighbours are blamed, or it does so for ever.",
        "Quarantine: one suspect at a time, marked before it is decoded; deaths after SIGTERM do"
        " not count.",
        (
            "test_two_suspects_in_two_partitions_end_and_the_innocents_beside_them_complete",
            "test_poison_from_the_waiting_room_ends_as_worker_lost",
            "test_poison_that_kills_the_decoder_ends_by_its_bytes",
            "test_deaths_after_a_signal_to_stop_count_against_nobody",
            MUTANT,
        ),
    ),
    "H18": Hazard(
        "Jobs that never end: a query that kills its connection each time, TryAgain without end, an"
        " SQL error that was swallowed, a constraint that fails at COMMIT.",
        "The last two are attempts, the first one after twenty times, TryAgain has a deadline.",
        (
            "test_a_query_that_kills_its_connection_each_time_makes_no_job_immortal",
            "test_try_again_ends_within_a_day",
            "test_a_handler_that_swallows_an_sql_error_is_not_complete",
            "test_a_deferred_constraint_that_fails_at_commit_is_the_handlers_error",
        ),
    ),
    "H19": Hazard(
        "A dedupe key across entities would mean two partitions and two locks for one id.",
        "A key is scoped by tenant, type and entity.",
        (
            "test_a_dedupe_key_is_of_its_tenant_type_and_entity",
            "test_two_keys_name_one_job_exactly_when_they_and_their_scopes_are_equal",
        ),
    ),
    "H20": Hazard(
        "In a rolling change of schema an old reader takes a new fingerprint for corruption.",
        "A worker holds the partition and says so; the projector keeps the bytes aside and folds"
        " them later.",
        (
            "test_an_unknown_schema_holds_its_partition_and_no_other_until_it_is_known",
            "test_what_was_kept_aside_is_folded_once_it_can_be_decoded",
            "test_a_row_of_a_later_release_waits_for_it_and_says_so_once",
        ),
    ),
    "H21": Hazard(
        "A ledger partitioned by day takes two ends of one job across midnight.",
        "It is not partitioned; it is pruned in batches.",
        ("test_one_end_stands_also_when_the_next_is_written_on_another_day",),
    ),
    "H22": Hazard(
        "With REPEATABLE READ as the database's default a statement waits for a lock and then"
        " answers from its old snapshot.",
        "READ COMMITTED is said explicitly.",
        (
            "test_begin_looks_in_a_fresh_snapshot_whatever_the_databases_default",
            "test_the_service_connections_read_what_they_waited_for_whatever_the_default",
            "test_no_function_answers_from_a_snapshot_older_than_its_lock",
        ),
    ),
    "H23": Hazard(
        "A rebuild sees only what the log still has.",
        "Jobs that reach further back are copied and said to be; the rest is compared.",
        (
            "test_jobs_that_reach_further_back_than_the_log_are_copied_as_they_are",
            "test_a_rebuild_of_a_log_whose_start_was_cut_copies_what_reaches_back",
        ),
    ),
    "H24": Hazard(
        "Somebody alters the number of partitions while producers run: entities are split.",
        "The number is pinned in the database; what was not pinned is not worked.",
        (
            "test_a_partition_that_one_lane_alone_has_or_that_was_not_pinned_is_not_worked",
            "test_other_partition_counts_than_the_topics_have_are_refused",
        ),
    ),
    "H25": Hazard(
        "A pause of PostgreSQL looks like the death of a worker that could not beat.",
        "Dead means that the beat did not move over 3 s in which three reads of one's own"
        " succeeded.",
        (
            "test_a_pause_of_the_database_in_a_rebalance_kills_nobody",
            "test_three_seconds_without_three_reads_prove_nothing",
        ),
    ),
    "H26": Hazard(
        "A take-over that comes late steals a partition from its rightful owner, and nobody serves"
        " it.",
        "Compare-and-set on the token seen; a fenced worker that is still assigned takes over"
        " again.",
        (
            "test_a_take_over_that_comes_late_steals_nothing",
            "test_of_two_who_saw_the_same_token_one_takes_over",
            "test_a_worker_that_hears_nothing_of_its_group_takes_nothing_over",
            "test_an_owner_that_joined_since_the_last_look_is_not_taken_for_dead",
        ),
    ),
    "H27": Hazard(
        "A worker loses a partition and gets it back while a thread of it still runs: the job"
        " starts beside itself.",
        "What is being let go is let go to the end.",
        (
            "test_a_thread_of_a_lost_partition_ends_before_its_job_is_started_again",
            "test_a_partition_that_comes_back_while_it_is_let_go_is_taken_over_anew",
        ),
    ),
    "H28": Hazard(
        "A partition is released before the last completions are flushed: the next owner runs them"
        " again.",
        "Released only when nothing is unflushed or unrecorded.",
        (
            "test_a_partition_is_released_only_when_nothing_is_unflushed_or_unrecorded",
            SIMULATION,
            MUTANT,
        ),
    ),
    "H29": Hazard(
        "Checks of rows without the lock are a snapshot: a flush passes the head that was just"
        " parked.",
        "The flush is fenced.",
        ("test_a_zombie_past_a_head_flushes_nothing", MUTANT),
    ),
    "H30": Hazard(
        '"This job waits already" is taken for a duplicate, and a zombie goes on past spilled'
        " jobs.",
        "One verdict, stale: check ownership, load the entity again.",
        (
            "test_a_job_that_waits_already_is_stale_whoever_wrote_it",
            "test_a_zombies_job_does_not_pass_the_spilled_ones_before_it",
        ),
    ),
    "H31": Hazard(
        "A late begin finds the attempt number unchanged and runs beside the next owner.",
        "The revision: every write of the row under the entity's lock bumps it.",
        (
            "test_a_row_that_was_moved_is_not_begun_by_who_knows_it_as_it_was",
            "test_a_late_begin_finds_that_its_row_was_written_since",
            "test_every_write_of_a_row_counts_its_revision_up",
        ),
    ),
    "H32": Hazard(
        "After a kill the successor dispatches spilled jobs before it has read what stands before"
        " them.",
        "A spilled row starts only once its lane was read past its place.",
        (
            "test_a_hot_entity_that_is_taken_over_keeps_its_order",
            "test_a_schedule_that_falls_due_does_not_go_before_what_was_spilled",
        ),
    ),
    "H33": Hazard(
        "One id twice in a batch: both are unknown to the look-up, and both run.",
        "Ids are reserved in memory before the look-up.",
        (
            "test_one_id_many_times_in_a_batch_runs_once_and_every_record_is_done",
            SIMULATION,
            MUTANT,
        ),
    ),
    "H34": Hazard(
        "A copy of a parent's record revives follow-ups that the ledger has forgotten.",
        "Follow-ups are sent only for the record that the ledger row names.",
        ("test_a_copy_of_a_parents_record_sends_none_of_its_follow_ups_again",),
    ),
    "H35": Hazard(
        "A flush that lost against a cancel reads the winner in the same statement, whose snapshot"
        " is too old.",
        "It is read in a second statement.",
        (
            "test_a_flush_that_waited_for_a_cancel_reads_the_winner_in_a_new_statement",
            "test_a_lost_race_is_read_back_in_a_second_round_trip",
        ),
    ),
    "H36": Hazard(
        "A cancel comes between a park's look and its commit: the entity stands although"
        " cancelled.",
        "The canceller makes the row due, wake-ups of jobs in flight are remembered, a sweep"
        " looks.",
        (
            "test_a_cancel_while_the_failure_is_being_parked_frees_the_entity",
            "test_a_cancel_that_comes_before_a_park_commits_is_found_by_the_sweep",
        ),
    ),
    "H37": Hazard(
        "Replay under `block` makes a second head, or a death after it leaves the entity blocked"
        " for ever.",
        "The row turns in place; a blocking row is over once a later generation has ended.",
        (
            "test_a_replay_in_place_that_comes_twice_or_to_another_owner_is_one_generation",
            "test_a_worker_that_dies_around_the_turn_of_a_blocking_row_repeats_nothing",
            "test_a_blocking_row_is_over_once_a_later_generation_is_in_the_ledger",
        ),
    ),
    "H38": Hazard(
        "After a failover the indexes of lost events are used again; a restored copy keeps timeline"
        " and system, and a live worker writes its position over it.",
        "The timeline is part of a history's key, positions move by compare-and-set, beats that the"
        " database forgot tell the copy.",
        (
            "test_what_came_after_a_copy_that_was_restored_is_done_again",
            "test_positions_move_only_from_where_they_stand",
            "test_a_copy_of_the_database_that_is_restored_is_known_by_the_beats_it_forgot",
            "test_the_fold_is_what_the_worker_went_through",
        ),
    ),
    "H39": Hazard(
        "The log is cut while the projector is down: a failed job without a dead letter.",
        "The cut waits for every checkpoint.",
        (
            "test_the_cut_waits_for_every_projection_and_a_running_rebuild",
            "test_without_a_projector_nothing_is_ever_cut",
        ),
    ),
    "H40": Hazard(
        "The database is restored to a day whose log is cut already.",
        "The cut is below the position as it stood 8 days ago.",
        (
            "test_the_log_is_cut_on_the_ninth_day_below_what_stood_on_the_first",
            "test_whatever_stood_within_the_last_eight_days_is_never_cut",
        ),
    ),
    "H41": Hazard(
        "A ledger row is pruned while a record of its job is unread in a long backlog: it runs"
        " again.",
        "Only what ended before the partition's oldest open record was appended is pruned.",
        (
            "test_a_row_stays_while_a_record_of_its_partition_from_before_its_end_is_unread",
            "test_a_duplicate_that_is_read_a_month_later_still_meets_the_first_end",
            "test_a_row_goes_only_if_it_ended_seven_days_before_now_and_every_unread_record",
        ),
    ),
    "H42": Hazard(
        "The projector learns of a death before it has read the submission.",
        "A failed outcome embeds the submission.",
        ("test_a_failure_is_told_whole_while_its_lane_is_not_read_yet",),
    ),
    "H43": Hazard(
        "A fenced projector's late fact opens a closed letter again once its row was pruned.",
        "Closed rows live as long as the topic.",
        (
            "test_a_closed_letter_lives_as_long_as_its_facts",
            "test_a_closed_letter_goes_when_its_last_fact_is_cut_and_an_open_one_never",
        ),
    ),
    "H44": Hazard(
        "A late *started* after *complete* reads as processing for ever.",
        "It counts only while no outcome has as many runs.",
        ("test_a_late_start_changes_nothing_once_the_job_has_ended",),
    ),
    "H45": Hazard(
        "A job is parked for a hold that was released just before: nobody makes it due.",
        "A sweep finds rows whose hold is gone.",
        (
            "test_a_job_that_is_parked_while_its_hold_is_released_comes_back",
            "test_a_job_that_was_parked_while_its_hold_was_released_is_found",
            "test_a_job_that_is_parked_only_after_its_hold_was_released_goes_on",
        ),
    ),
    "H46": Hazard(
        "The release that a breaker stopped was rolled back: nobody probes, the hold never closes.",
        "The reader's release decides; a take-over makes held rows due.",
        (
            "test_a_new_owner_of_another_release_runs_what_a_hold_by_release_kept",
            "test_of_many_workers_one_probes_at_a_time",
            "test_a_worker_that_dies_while_it_probes_only_delays_the_next_probe",
        ),
    ),
    "H47": Hazard(
        "A slot is kept for critical jobs, but all connections are held by low ones.",
        "The same caps on slots, connections and threads.",
        (
            "test_a_flood_in_the_low_lane_leaves_connections_to_the_lanes_above",
            "test_with_every_free_slot_full_of_low_jobs_a_critical_one_starts_at_once",
        ),
    ),
    "H48": Hazard(
        "Whoever submitted asks while no projector runs, and hears that the job is unknown.",
        "The client answers from its own acknowledgement.",
        (
            "test_a_job_is_not_denied_while_no_projector_runs",
            "test_without_a_projector_the_client_s_own_acknowledgement_answers",
        ),
    ),
    "H49": Hazard(
        "Two stores are read one after the other, and what moved between them is told as not"
        " there.",
        "One snapshot of the ledger's database, taken after the history was asked.",
        ("test_a_job_that_ends_between_two_looks_is_explained_by_its_end",),
    ),
}
