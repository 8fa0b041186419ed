//! The emulators under the tests: one of each a test process, started by the first test that needs it, and gone
//! with the process. Each test makes its own table, so tests never meet.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use local::emulator::{Dynoxide, Ministack, sdk_config};

/// Which emulator holds a test's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Emulator {
    /// DynamoDB, S3, SQS and more; the everyday one.
    Ministack,
    /// DynamoDB only; the second opinion.
    Dynoxide,
}

static MINISTACK: LazyLock<String> = LazyLock::new(|| {
    keep(async || {
        Ministack::ephemeral()
            .await
            .map(|it| (it.endpoint().to_owned(), it))
    })
});
static DYNOXIDE: LazyLock<String> = LazyLock::new(|| {
    keep(async || {
        Dynoxide::ephemeral()
            .await
            .map(|it| (it.endpoint().to_owned(), it))
    })
});

/// Starts a program on a thread that lives as long as the process: the kernel ends a program with the thread
/// that started it, and a test's own thread ends with the test.
fn keep<T: Send + 'static, F>(start: F) -> String
where
    F: AsyncFnOnce() -> anyhow::Result<(String, T)> + Send + 'static,
{
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let started = start().await;
            let (endpoint, program) = match started {
                Ok((endpoint, program)) => (Ok(endpoint), Some(program)),
                Err(error) => (Err(format!("{error:#}")), None),
            };
            tell.send(endpoint).unwrap();
            std::future::pending::<()>().await;
            drop(program);
        });
    });
    told.recv().unwrap().unwrap()
}

impl Emulator {
    /// Its address.
    pub(crate) fn endpoint(self) -> &'static str {
        match self {
            Self::Ministack => &MINISTACK,
            Self::Dynoxide => &DYNOXIDE,
        }
    }

    /// A configuration for clients of it.
    pub(crate) async fn config(self) -> SdkConfig {
        sdk_config(self.endpoint()).await
    }

    /// A new, empty table with the keys of template.yaml.
    pub(crate) async fn table(self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        let key = |name: &str, kind: KeyType| {
            KeySchemaElement::builder()
                .attribute_name(name)
                .key_type(kind)
                .build()
                .unwrap()
        };
        let text = |name: &str| {
            AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(ScalarAttributeType::S)
                .build()
                .unwrap()
        };
        let pending = GlobalSecondaryIndex::builder()
            .index_name("pending")
            .key_schema(key("pending_pk", KeyType::Hash))
            .key_schema(key("pending_sk", KeyType::Range))
            .projection(
                Projection::builder()
                    .projection_type(ProjectionType::KeysOnly)
                    .build(),
            )
            .build()
            .unwrap();
        aws_sdk_dynamodb::Client::new(&self.config().await)
            .create_table()
            .table_name(&name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_attribute_definitions(Some(["pk", "sk", "pending_pk", "pending_sk"].map(text).to_vec()))
            .key_schema(key("pk", KeyType::Hash))
            .key_schema(key("sk", KeyType::Range))
            .global_secondary_indexes(pending)
            .send()
            .await
            .unwrap();
        name
    }
}
