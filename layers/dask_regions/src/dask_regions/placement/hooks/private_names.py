"""Every private name of Dask and its relatives that is used, and every state of Dask's that is set.

A name is private if it, or a module that it is imported from, begins with an underscore. Attributes that are
replaced are in :mod:`.overrides`. ``tests/contract/test_overrides.py`` fails where a name is used that is
missing here, or that is here and not used any more.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PRIVATE_NAMES", "STATE", "PrivateName"]


@dataclass(frozen=True)
class PrivateName:
    """A name of Dask, Distributed, xarray, Zarr or Tornado that is no public interface.

    Attributes
    ----------
    target
        Dotted name.
    users
        Modules or packages of ``dask_regions`` that may use it; nobody else does.
    why
        Reason, in one sentence.
    contract
        Test below ``tests/contract`` that fails when an upgrade changes it.
    upstream
        Change that would make it unnecessary.
    """

    target: str
    users: tuple[str, ...]
    why: str
    contract: str
    upstream: str


_NODES = "a public module of the nodes of a task graph"
_FUSED = "a public way to see the tasks that a fused task is made of"
_PUBLIC_P2P = "public names of what a P2P layer and its barrier say"
_QUEUE = "a root-task queue per restriction"
_PLANNING = ("placement.planning",)
_QUEUEING = ("placement.hooks.scheduler.queueing",)
_METHODS = "test_queueing_hooks.py::test_the_methods_that_are_replaced_are_called_as_they_were"
_READ = "test_queueing_hooks.py::test_what_queueing_reads"
_STORED = "test_zarr_hooks.py::test_an_array_stores_what_leads_to_its_store"
_LAZY = "test_dask_hooks.py::test_xarray_keeps_lazy_arrays_where_placement_looks"
_VALUES = "test_planning_hooks.py::test_nodes_that_hold_a_value_or_another_name_are_what_they_were"
_FUSED_TASK = "test_planning_hooks.py::test_a_fused_task_holds_its_graph_its_result_and_its_inputs"
_WRAPPED = "test_planning_hooks.py::test_delayed_objects_are_wrapped_where_they_must_not_be_reused"
_RECORDER = "test_zarr_hooks.py::test_a_recorder_sees_every_read_of_opening"
_WALK = "a public way from a lazy array to what it wraps"

PRIVATE_NAMES: tuple[PrivateName, ...] = (
    *(
        PrivateName(
            f"dask._task_spec.{name}",
            _PLANNING,
            "The nodes of a graph are read and made by their class.",
            contract,
            _NODES,
        )
        for name, contract in (
            ("Alias", _VALUES),
            ("List", "test_planning_hooks.py::test_a_tree_reductions_steps_are_named_and_take_a_list"),
            ("TaskRef", _FUSED_TASK),
            ("cull", _WRAPPED),
        )
    ),
    *(
        PrivateName(
            f"dask._task_spec.{name}",
            users,
            "The nodes of a graph, and of the scheduler's tasks, are told by their class.",
            contract,
            _NODES,
        )
        for name, users, contract in (
            ("DataNode", (*_PLANNING, "placement.hooks.scheduler.tasks"), _VALUES),
            (
                "GraphNode",
                (*_PLANNING, "placement.hooks.scheduler.forecast"),
                "test_dask_hooks.py::test_task_states_have_what_planning_reads",
            ),
            ("Task", _PLANNING, _FUSED_TASK),
        )
    ),
    PrivateName(
        "dask._task_spec._execute_subgraph",
        _PLANNING,
        "It is the function of a fused task.",
        _FUSED_TASK,
        _FUSED,
    ),
    PrivateName(
        "dask._task_spec._identity_cast",
        _PLANNING,
        "It is the function of a list in a task.",
        "test_planning_hooks.py::test_a_tree_reductions_steps_are_named_and_take_a_list",
        _NODES,
    ),
    PrivateName(
        "dask._expr.Expr",
        _PLANNING,
        "Collections reach the scheduler as expressions, whose operands hold their graphs.",
        "test_planning_hooks.py::"
        "test_a_collections_graph_is_found_in_its_expression_and_has_layers_with_chunks",
        "a public module of expressions",
    ),
    PrivateName(
        "dask._expr.ProhibitReuse",
        _PLANNING,
        "Dask wraps tasks that a delayed object must not reuse.",
        _WRAPPED,
        "no wrapper around tasks that hold data",
    ),
    PrivateName(
        "dask._expr.ProhibitReuse._identity",
        _PLANNING,
        "It is the function of the wrapper.",
        _WRAPPED,
        "no wrapper around tasks that hold data",
    ),
    PrivateName(
        "dask.highlevelgraph.HighLevelGraph._toposort_layers",
        _PLANNING,
        "Layers are annotated after those that they depend on.",
        "test_planning_hooks.py::"
        "test_a_collections_graph_is_found_in_its_expression_and_has_layers_with_chunks",
        "a public order of layers",
    ),
    PrivateName(
        "distributed.shuffle._rechunk.P2PRechunkLayer",
        _PLANNING,
        "P2P rechunks of several Regions are replaced by task-based ones.",
        "test_locality_hooks.py::test_a_p2p_rechunk_is_a_layer_that_says_what_it_does",
        _PUBLIC_P2P,
    ),
    PrivateName(
        "distributed.shuffle._rechunk._split_partials",
        _PLANNING,
        "Each independent part of a P2P rechunk is replaced by itself.",
        "test_locality_hooks.py::test_a_p2p_rechunk_is_a_layer_that_says_what_it_does",
        _PUBLIC_P2P,
    ),
    *(
        PrivateName(
            f"distributed.shuffle.{name}",
            ("placement.hooks.scheduler.p2p",),
            "P2P chooses its workers by the barrier, and an error of this class fails a shuffle.",
            "test_locality_hooks.py::test_p2p_chooses_its_outputs_among_the_workers_of_the_barrier",
            _PUBLIC_P2P,
        )
        for name in ("_core.barrier_key", "_core.ShuffleSpec", "_exceptions.P2PConsistencyError")
    ),
    PrivateName(
        "distributed.shuffle._core.ShuffleRun",
        ("placement.hooks.worker.meter",),
        "It sends the shards, which enter no transfer log.",
        "test_client_hooks.py::test_shards_of_a_shuffle_enter_the_log_of_their_sender",
        "shards in the transfer logs",
    ),
    *(
        PrivateName(
            f"distributed.scheduler.{name}",
            (*_QUEUEING, *more),
            "A queue of a Region sends, checks and counts as Dask's own queue does.",
            contract,
            _QUEUE,
        )
        for name, contract, more in (
            ("SchedulerState._add_to_processing", _METHODS, ()),
            ("SchedulerState._validate_ready", _METHODS, ()),
            ("SchedulerState._get_prefix_duration", _READ, ("placement.hooks.scheduler.tasks",)),
            ("Scheduler._workers_added_total", _READ, ()),
            ("Scheduler._workers_removed_total", _READ, ()),
            ("TaskState._queueable", _READ, ()),
        )
    ),
    PrivateName(
        "xarray.core.variable.Variable._data",
        ("data.array", "placement.planning.payload"),
        "A lazy array is found without loading it.",
        _LAZY,
        _WALK,
    ),
    *(
        PrivateName(
            target,
            ("placement.planning.payload",),
            "The mark on an array is found below the wrappers of xarray and Zarr.",
            contract,
            _WALK,
        )
        for target, contract in (
            ("xarray.backends.zarr.ZarrArrayWrapper._array", _STORED),
            ("xarray.core.dataarray.DataArray._variable", _LAZY),
            ("xarray.core.dataset.Dataset._variables", _LAZY),
            ("zarr.core.array.Array._async_array", _STORED),
            ("zarr.storage.WrapperStore._store", _RECORDER),
        )
    ),
    *(
        PrivateName(
            f"flox.dask.{name}",
            _PLANNING,
            "Steps of a grouped reduction are told by the name of their function.",
            "test_planning_hooks.py::test_flox_names_its_steps_and_functions",
            "chunks in the annotations of flox's layers",
        )
        for name in ("_simple_combine", "_grouped_combine")
    ),
    *(
        PrivateName(
            f"zarr.abc.store.Store.{name}",
            ("data.store",),
            "A store of one's own has to say when it may not be written.",
            "test_zarr_hooks.py::test_reading_opens_a_read_only_copy",
            "public names for what a subclass of Store needs",
        )
        for name in ("_read_only", "_check_writable")
    ),
    *(
        PrivateName(
            f"zarr.abc.store.Store.{name}",
            ("data.contents",),
            "A store that wraps another must not let Zarr read past it.",
            "test_zarr_hooks.py::test_a_store_that_wraps_another_overrides_these_methods",
            "public names for what a subclass of Store needs",
        )
        for name in ("_get_many", "_ensure_open")
    ),
)

#: Public attributes of tasks, workers and layers that Dask sets itself, and that are set here too.
STATE: tuple[PrivateName, ...] = (
    PrivateName(
        "distributed.scheduler.TaskState.resource_restrictions",
        ("placement.hooks.scheduler.plugin", "placement.hooks.scheduler.queueing"),
        "It restricts a task to a Region.",
        "test_dask_hooks.py::test_update_graph_may_restrict_tasks_before_they_start",
        "a hook of SchedulerPlugin between materialising a graph and creating its tasks",
    ),
    PrivateName(
        "distributed.scheduler.TaskState.worker_restrictions",
        ("placement.hooks.scheduler.p2p",),
        "For the length of one call, it names the workers that a P2P shuffle may use.",
        "test_locality_hooks.py::test_p2p_chooses_its_outputs_among_the_workers_of_the_barrier",
        "P2P that chooses its workers by the barrier's resource restrictions",
    ),
    PrivateName(
        "distributed.scheduler.TaskState.state",
        _QUEUEING,
        "A task enters a queue of a Region as it enters Dask's own.",
        "test_queueing_hooks.py::test_the_transitions_that_are_replaced_exist_and_are_looked_up_on_the_instance",
        _QUEUE,
    ),
    PrivateName(
        "distributed.scheduler.TaskState.suspicious",
        ("placement.hooks.scheduler.tasks",),
        "Workers of one pool that are lost together count as one failure of a task.",
        "test_failure_hooks.py::test_the_removal_of_a_worker_is_an_event_of_its_own_topic",
        "failures of workers counted by host or by resource",
    ),
    PrivateName(
        "distributed.scheduler.Scheduler.periodic_callbacks",
        ("placement.hooks.scheduler.callbacks",),
        "The scheduler stops its callbacks when it closes.",
        "test_failure_hooks.py::test_the_time_to_live_of_workers_is_looked_after_by_a_named_callback",
        "periodic callbacks of plugins",
    ),
    PrivateName(
        "dask.highlevelgraph.Layer.annotations",
        ("placement.planning.layers",),
        "Layers of different Regions are not fused.",
        "test_dask_hooks.py::test_a_custom_annotation_stops_fusion",
        "a hook of SchedulerPlugin between materialising a graph and creating its tasks",
    ),
)
