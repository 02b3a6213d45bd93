"""Every attribute of Dask that is replaced, and what would make it unnecessary.

This is the whole of it: :class:`~dask_regions.placement.hooks.replacing.Overrides` refuses what is not
declared here; ``tests/contract/test_overrides.py`` finds in the sources what is not, and
``tests/contract/test_take_back.py`` compares a scheduler and a worker with Dask's own.
Names of Dask that are used without being replaced are in :mod:`.private_names`; ``docs/upstream.md`` proposes
the three changes of Dask that would delete half of the table.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["OVERRIDES", "Override"]


@dataclass(frozen=True)
class Override:
    """One attribute of Dask, of a class or module or of each instance of a class, that is replaced.

    Attributes
    ----------
    target
        Dotted name; an item of a dictionary is in brackets.
    module
        Module below ``placement.hooks`` that replaces it.
    why
        Reason, in one sentence.
    contract
        Test below ``tests/contract`` that fails when an upgrade changes what the override rests on.
    upstream
        Change to Dask that would make the override unnecessary.
    """

    target: str
    module: str
    why: str
    contract: str
    upstream: str


_PLAN_HOOK = "a hook of SchedulerPlugin between materialising a graph and creating its tasks"
_QUEUE = "a root-task queue per restriction"
_LOCALITY = "locality of workers in who_has, stealing and the active memory manager"
_TIMEOUT_PLUGIN = "a hook of SchedulerPlugin for tasks that exceed no-workers-timeout"
_P2P = "P2P that chooses its workers by the barrier's resource restrictions"
_STREAM_COMPRESSION = "compression of whole streams of messages, chosen in the handshake"
_TRANSFER_LOG = "shards and scattered data in the transfer logs, and a configurable length of them"
_FETCH_EVENT = "an event that the worker logs when a fetch fails on the way"
_PRELOAD = "preload modules that run before the scheduler reads its configuration"

_SCHEDULER = "distributed.scheduler.Scheduler"
_WORKER = "distributed.worker.Worker"
_TCP = "distributed.comm.tcp"

OVERRIDES: tuple[Override, ...] = (
    Override(
        "distributed.scheduler._materialize_graph",
        "scheduler.materialize",
        "A graph is planned in Dask's offload thread, after it is optimised and before its tasks exist.",
        "test_planning_hooks.py::test_the_scheduler_materialises_by_a_function_of_its_module",
        _PLAN_HOOK,
    ),
    Override(
        f"{_SCHEDULER}.stream_handlers[update-graph]",
        "scheduler.materialize",
        "It says for which scheduler, and for which wanted keys, the thread plans.",
        "test_planning_hooks.py::test_graphs_arrive_by_a_stream_handler_with_the_keys_that_are_wanted",
        _PLAN_HOOK,
    ),
    Override(
        f"{_SCHEDULER}.queued",
        "scheduler.queueing",
        "Root tasks wait in a heap for each Region.",
        "test_queueing_hooks.py::test_the_queue_is_a_heap_set_of_which_these_methods_are_used",
        _QUEUE,
    ),
    Override(
        f"{_SCHEDULER}.running",
        "scheduler.queueing",
        "A set that counts its changes lets the workers of a Region be collected once, not for every task.",
        "test_queueing_hooks.py::test_who_runs_is_a_set_that_changes_by_add_and_discard_only",
        _QUEUE,
    ),
    Override(
        f"{_SCHEDULER}.valid_workers",
        "scheduler.queueing",
        "Dask collects valid workers for every restricted task; here they are kept until who runs changes.",
        "test_queueing_hooks.py::test_the_methods_that_are_replaced_are_called_as_they_were",
        _QUEUE,
    ),
    Override(
        f"{_SCHEDULER}.check_idle_saturated",
        "scheduler.queueing",
        "It tells which workers of a Region have room for a queued task.",
        "test_queueing_hooks.py::test_the_methods_that_are_replaced_are_called_as_they_were",
        _QUEUE,
    ),
    Override(
        f"{_SCHEDULER}.validate_queued",
        "scheduler.queueing",
        "Dask asserts that a queued task is not restricted.",
        "test_queueing_hooks.py::test_the_methods_that_are_replaced_are_called_as_they_were",
        _QUEUE,
    ),
    Override(
        f"{_SCHEDULER}.stimulus_queue_slots_maybe_opened",
        "scheduler.queueing",
        "A slot that opens is of one Region, and so is the task that gets it.",
        "test_queueing_hooks.py::test_the_methods_that_are_replaced_are_called_as_they_were",
        _QUEUE,
    ),
    Override(
        f"{_SCHEDULER}._TRANSITIONS_TABLE",
        "scheduler.queueing",
        "Four transitions into and out of the queue send restricted tasks past it.",
        "test_queueing_hooks.py::test_the_transitions_that_are_replaced_exist_and_are_looked_up_on_the_instance",
        _QUEUE,
    ),
    Override(
        f"{_SCHEDULER}._task_to_msg",
        "scheduler.locality",
        "A worker is told of the replicas in its own Region, where there are any.",
        "test_locality_hooks.py::test_a_message_to_a_worker_names_the_holders_and_the_worker_is_known",
        _LOCALITY,
    ),
    Override(
        f"{_SCHEDULER}.stream_handlers[request-refresh-who-has]",
        "scheduler.locality",
        "A worker whose sources are busy is told of the others in its Region first.",
        "test_locality_hooks.py::test_extensions_and_handlers_have_their_names",
        _LOCALITY,
    ),
    Override(
        f"{_SCHEDULER}.get_comm_cost",
        "scheduler.locality",
        "A result from another Region takes longer than one bandwidth for all says.",
        "test_locality_hooks.py::test_the_methods_that_locality_replaces_are_called_as_they_were",
        _LOCALITY,
    ),
    Override(
        "distributed.stealing.WorkStealing._get_thief",
        "scheduler.locality",
        "Dask steals whatever is queued, a task whose inputs would have to cross too.",
        "test_locality_hooks.py::test_the_methods_that_locality_replaces_are_called_as_they_were",
        _LOCALITY,
    ),
    Override(
        "distributed.active_memory_manager.ActiveMemoryManagerExtension._find_dropper",
        "scheduler.locality",
        "The last replica of a Region stays while a task there waits for it.",
        "test_locality_hooks.py::test_the_methods_that_locality_replaces_are_called_as_they_were",
        _LOCALITY,
    ),
    Override(
        "distributed.shuffle._scheduler_plugin.ShuffleSchedulerPlugin._calculate_worker_for",
        "scheduler.p2p",
        "P2P hands its output to all workers, whatever their tasks are restricted to.",
        "test_locality_hooks.py::test_p2p_chooses_its_outputs_among_the_workers_of_the_barrier",
        _P2P,
    ),
    Override(
        f"{_SCHEDULER}._check_unrunnable_task_timeouts",
        "scheduler.empty_pools",
        "The error of a task that waits in vain names the pool, and the command that scales it.",
        "test_failure_hooks.py::test_the_check_for_tasks_that_wait_in_vain_can_be_replaced",
        _TIMEOUT_PLUGIN,
    ),
    Override(
        f"{_SCHEDULER}.no_workers_timeout",
        "timeouts",
        "The scheduler reads its configuration before preload modules run.",
        "test_dask_hooks.py::test_the_timeout_of_waiting_is_an_attribute_and_its_error_names_the_resource",
        _PRELOAD,
    ),
    Override(
        f"{_SCHEDULER}.worker_ttl",
        "timeouts",
        "The scheduler reads its configuration before preload modules run.",
        "test_failure_hooks.py::test_the_time_to_live_of_workers_is_looked_after_by_a_named_callback",
        _PRELOAD,
    ),
    Override(
        "tornado.ioloop.PeriodicCallback.callback_time",
        "timeouts",
        "Dask looks for silent workers once per worker-ttl, and takes up to twice as long to see one.",
        "test_failure_hooks.py::test_the_time_to_live_of_workers_is_looked_after_by_a_named_callback",
        "a worker-ttl that is looked after more than once per worker-ttl",
    ),
    Override(
        f"{_WORKER}.gather_dep",
        "worker.fetching",
        "A worker that cannot fetch tries for ever and tells nobody.",
        "test_failure_hooks.py::test_a_worker_reports_peers_it_cannot_fetch_from_and_its_tasks_fail_in_time",
        _FETCH_EVENT,
    ),
    Override(
        f"{_WORKER}.handlers[update_data]",
        "worker.meter",
        "Data that a client scatters enter no transfer log.",
        "test_client_hooks.py::test_scattered_data_enter_the_log_of_their_receiver",
        _TRANSFER_LOG,
    ),
    Override(
        f"{_WORKER}.transfer_incoming_log",
        "worker.meter",
        "Dask remembers 1000 transfers, which are one computation's.",
        "test_client_hooks.py::test_entries_of_the_meter_have_the_shape_of_dasks",
        _TRANSFER_LOG,
    ),
    Override(
        f"{_WORKER}.transfer_outgoing_log",
        "worker.meter",
        "Dask remembers 1000 transfers, which are one computation's.",
        "test_client_hooks.py::test_entries_of_the_meter_have_the_shape_of_dasks",
        _TRANSFER_LOG,
    ),
    Override(
        "distributed.shuffle._core.ShuffleRun._send",
        "worker.meter",
        "Shards of P2P shuffles enter no transfer log.",
        "test_client_hooks.py::test_shards_of_a_shuffle_enter_the_log_of_their_sender",
        _TRANSFER_LOG,
    ),
    *(
        Override(
            f"{_TCP}.{connects}.comm_class",
            "wire",
            "Messages between two Regions are one stream of DEFLATE.",
            "test_wire_hooks.py::test_the_class_of_a_connection_is_an_attribute_of_who_opens_and_accepts_it",
            _STREAM_COMPRESSION,
        )
        for connects in ("TCPConnector", "TCPListener", "TLSConnector", "TLSListener")
    ),
    Override(
        "distributed.protocol.compression.compressions[dask-regions-zlib-1]",
        "wire",
        "Dask's own zlib, at level 6, is no faster than a link between Regions.",
        "test_wire_hooks.py::test_a_compression_is_known_by_its_name",
        "levels of compression in Dask's configuration",
    ),
)
