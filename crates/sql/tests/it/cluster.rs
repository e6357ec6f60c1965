//! On Ballista: one scheduler and two executors on loopback, each with its server.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use ballista_core::{
    registry::BallistaFunctionRegistry,
    serde::{BallistaCodec, protobuf::scheduler_grpc_client::SchedulerGrpcClient},
    utils::default_config_producer,
};
use ballista_executor::new_standalone_executor_from_builder;
use ballista_scheduler::standalone::new_standalone_scheduler;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use probity_provenance::dataset::Policy;

use crate::{
    local::{digits_policy, digits_world},
    world::on_deep_stacks,
};

/// An executor of one core; counts how often work came to it.
async fn executor(scheduler: &str) -> Arc<AtomicUsize> {
    let tasks = Arc::new(AtomicUsize::new(0));
    let runtime = RuntimeEnvBuilder::new().build_arc().unwrap();
    let counted = Arc::clone(&tasks);
    new_standalone_executor_from_builder(
        // The server accepts from when it was bound.
        SchedulerGrpcClient::connect(scheduler.to_owned()).await.unwrap(),
        1,
        Arc::new(default_config_producer),
        Arc::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(Arc::clone(&runtime))
        }),
        BallistaCodec::default(),
        BallistaFunctionRegistry::default(),
    )
    .await
    .unwrap();
    tasks
}

#[test]
fn two_executors_give_the_same_folder() {
    on_deep_stacks(two_executors());
}

async fn two_executors() {
    let address = new_standalone_scheduler().await.unwrap();
    let url = format!("http://localhost:{}", address.port());
    let executors = [executor(&url).await, executor(&url).await];
    let scheduler = format!("df://localhost:{}", address.port());
    let capped =
        Policy { max_items_per_new_author: 40, max_items_of_new_authors: 60, ..digits_policy() };
    let world = digits_world();
    for policy in [digits_policy(), capped] {
        let (manifest, _) = world.compare(&policy, Some(scheduler.clone())).await;
        assert!(manifest.excluded.len() > 500);
    }
    for tasks in executors {
        assert!(tasks.load(Ordering::Relaxed) > 0, "an executor had nothing to do");
    }
}
