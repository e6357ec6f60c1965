//! Where the SQL runs: in this process within a declared amount of memory, or on a Ballista cluster.

use std::{
    fmt,
    fs::File,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use ballista::prelude::{SessionConfigExt as _, SessionContextExt as _};
use datafusion::{
    arrow::record_batch::RecordBatch,
    execution::{
        SessionStateBuilder,
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        memory_pool::{FairSpillPool, TrackConsumersPool},
        runtime_env::RuntimeEnvBuilder,
    },
    parquet::arrow::ArrowWriter,
    physical_plan::{ExecutionPlan, execute_stream},
    prelude::{ParquetReadOptions, SessionConfig, SessionContext},
};
use futures::StreamExt as _;

use crate::SqlError;

/// Sorted runs that a sort reads back at once: it would take all memory that is left for them, and leave
/// none for the sorts after it.
const MERGED_AT_ONCE: usize = 16;

/// How much an engine may use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Memory for sorts, joins and groups in this process, in bytes. What does not fit goes to `scratch`. With
    /// less than 16 MiB not even the batches in hand fit.
    pub memory: usize,
    /// Parts that the tables are worked on in at the same time.
    pub partitions: usize,
    /// Folder for what does not fit and for tables of the build's own. A cluster's executors must see it
    /// under the same path, and the tables too.
    pub scratch: PathBuf,
    /// URL of a Ballista scheduler (`df://host:50050`); without it everything runs in this process.
    pub scheduler: Option<String>,
}

/// An SQL engine.
pub struct Engine {
    /// This process: sorts the leaves whatever else runs elsewhere.
    local: SessionContext,
    /// What decides about works.
    context: SessionContext,
    scratch: PathBuf,
    spilled: AtomicU64,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("scratch", &self.scratch).finish_non_exhaustive()
    }
}

type Context = fn(&Engine) -> &SessionContext;

fn configured(config: SessionConfig, settings: &Settings) -> SessionConfig {
    // A plan has dozens of sorts at a time, each with some batches in hand and memory set aside for merging.
    let reserved = (settings.memory / 256).clamp(32 << 10, 10 << 20);
    let rows = (settings.memory >> 18).clamp(64, 8192);
    config
        .with_target_partitions(settings.partitions.max(1))
        .with_batch_size(rows)
        .with_sort_spill_reservation_bytes(reserved)
        // A hash join keeps one side in memory; a merge join needs sorted sides, and sorts spill.
        .set_bool("datafusion.optimizer.prefer_hash_join", false)
        // Plain texts: Ballista has them so, and answers are alike.
        .set_bool("datafusion.execution.parquet.schema_force_view_types", false)
}

impl Engine {
    /// Starts an engine, or finds a cluster.
    pub async fn start(settings: &Settings) -> Result<Self, SqlError> {
        let failed = |error| SqlError::Engine("start", error);
        let directories = DiskManagerMode::Directories(vec![settings.scratch.clone()]);
        let disk = DiskManagerBuilder::default()
            .with_mode(directories)
            .with_max_spill_merge_fan_in(MERGED_AT_ONCE);
        // Tracked, so that an error names who has the memory.
        let pool = FairSpillPool::new(settings.memory);
        let pool = TrackConsumersPool::new(pool, NonZeroUsize::MIN.saturating_add(4));
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(pool))
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(failed)?;
        let local = SessionContext::new_with_config_rt(
            configured(SessionConfig::new(), settings),
            Arc::clone(&runtime),
        );
        let context = match &settings.scheduler {
            None => local.clone(),
            Some(url) => {
                let config = configured(SessionConfig::new_with_ballista(), settings);
                let state =
                    SessionStateBuilder::new().with_config(config).with_default_features().build();
                SessionContext::remote_with_state(url, state).await.map_err(failed)?
            }
        };
        let scratch = settings.scratch.clone();
        Ok(Self { local, context, scratch, spilled: AtomicU64::new(0) })
    }

    /// What did not fit into memory so far, in bytes. A cluster's executors keep count of theirs.
    pub fn spilled(&self) -> u64 {
        self.spilled.load(Ordering::Relaxed)
    }

    pub(crate) fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Makes a Parquet file, or a folder of such files, a table; one of the same name is replaced.
    pub(crate) async fn register(&self, name: &'static str, path: &Path) -> Result<(), SqlError> {
        self.register_in(|engine| &engine.context, name, path).await
    }

    async fn register_in(
        &self,
        context: Context,
        name: &'static str,
        path: &Path,
    ) -> Result<(), SqlError> {
        if !path.exists() {
            return Err(SqlError::Missing(path.to_owned()));
        }
        let context = context(self);
        let failed = |error| SqlError::Engine(name, error);
        context.deregister_table(name).map_err(failed)?;
        let path = path.to_string_lossy();
        context.register_parquet(name, path, ParquetReadOptions::default()).await.map_err(failed)
    }

    /// Runs a statement and shows its answer batch by batch.
    pub(crate) async fn query(
        &self,
        name: &'static str,
        sql: &str,
        visit: &mut (dyn FnMut(&RecordBatch) -> Result<(), SqlError> + Send),
    ) -> Result<(), SqlError> {
        self.query_in(|engine| &engine.context, name, sql, visit).await
    }

    /// Sorts a table of this process.
    pub(crate) async fn query_local(
        &self,
        name: &'static str,
        path: &Path,
        sql: &str,
        visit: &mut (dyn FnMut(&RecordBatch) -> Result<(), SqlError> + Send),
    ) -> Result<(), SqlError> {
        self.register_in(|engine| &engine.local, name, path).await?;
        self.query_in(|engine| &engine.local, name, sql, visit).await
    }

    async fn query_in(
        &self,
        context: Context,
        name: &'static str,
        sql: &str,
        visit: &mut (dyn FnMut(&RecordBatch) -> Result<(), SqlError> + Send),
    ) -> Result<(), SqlError> {
        let failed = |error| SqlError::Engine(name, error);
        let context = context(self);
        let frame = context.sql(sql).await.map_err(failed)?;
        let plan = frame.create_physical_plan().await.map_err(failed)?;
        let mut batches = execute_stream(Arc::clone(&plan), context.task_ctx()).map_err(failed)?;
        while let Some(batch) = batches.next().await {
            visit(&batch.map_err(failed)?)?;
        }
        self.spilled.fetch_add(spilled(plan.as_ref()), Ordering::Relaxed);
        Ok(())
    }

    /// Writes a statement's answer as a table of the build's own.
    pub(crate) async fn save(
        &self,
        name: &'static str,
        sql: &str,
        path: &Path,
        visit: &mut (dyn FnMut(&RecordBatch) -> Result<(), SqlError> + Send),
    ) -> Result<(), SqlError> {
        let schema = self.context.sql(sql).await.map_err(|error| SqlError::Engine(name, error))?;
        let schema = Arc::new(schema.schema().as_arrow().clone());
        let file = File::create(path).map_err(SqlError::file("write", path))?;
        let mut writer = ArrowWriter::try_new(file, schema, None)?;
        self.query(name, sql, &mut |batch| {
            writer.write(batch)?;
            visit(batch)
        })
        .await?;
        writer.close()?;
        Ok(())
    }
}

/// Bytes that a plan wrote to disk because they did not fit into memory.
fn spilled(plan: &dyn ExecutionPlan) -> u64 {
    let own = plan.metrics().and_then(|metrics| metrics.spilled_bytes()).unwrap_or(0) as u64;
    own + plan.children().into_iter().map(|child| spilled(child.as_ref())).sum::<u64>()
}
