//! The operator of a bare axis: connects with the operator's certificate and appends registry statements, right or wrong.

use tonic::transport::Channel;
use truc_proto::admin::v1 as pb;
use truc_proto::admin::v1::broker_admin_service_client::BrokerAdminServiceClient;
use truc_signing::statement::RegistryEvent;
use truc_transport::status;
use truc_types::{Reason, Refusal};

use crate::bare::Bare;
use crate::peer::connect;

/// A version that no registry of a test reaches.
const FAR: u64 = 1_000_000;

/// The operator, connected.
pub struct Operator<'a> {
    bare: &'a Bare,
    client: BrokerAdminServiceClient<Channel>,
}

impl<'a> Operator<'a> {
    /// Connects.
    ///
    /// # Panics
    /// When the broker does not take the operator's certificate.
    #[expect(clippy::expect_used, reason = "a test whose preparation failed must fail")]
    pub async fn connect(bare: &'a Bare) -> Self {
        let channel = connect(&bare.url(), &bare.operator_tls()).await.expect("the broker takes the certificate");
        Self { bare, client: BrokerAdminServiceClient::new(channel) }
    }

    /// Appends a file.
    ///
    /// # Errors
    /// The refusal.
    ///
    /// # Panics
    /// When the broker answers without a reason.
    #[expect(clippy::panic, reason = "a status without a reason must fail the test")]
    pub async fn append(&self, statement: Vec<u8>) -> Result<pb::AppendRegistryStatementResponse, Refusal> {
        let request = pb::AppendRegistryStatementRequest { statement: statement.into() };
        let answer = self.client.clone().append_registry_statement(request).await;
        let refusal = |answered| status::refusal(&answered).unwrap_or_else(|| panic!("no reason in {answered:?}"));
        answer.map(tonic::Response::into_inner).map_err(refusal)
    }

    /// Appends an event under the version that is next, which a refusal tells.
    ///
    /// # Errors
    /// The refusal.
    ///
    /// # Panics
    /// When the broker does not say which version is next.
    #[expect(clippy::expect_used, reason = "an answer that means nothing must fail the test")]
    pub async fn append_next(&self, event: RegistryEvent) -> Result<pb::AppendRegistryStatementResponse, Refusal> {
        let far = self.bare.registry_statement(FAR, event.clone());
        let refusal = match self.append(far).await {
            Err(refusal) if refusal.reason == Reason::RegistryVersion => refusal,
            other => return other,
        };
        let next = refusal.value("expected").and_then(|version| version.parse().ok()).expect("the next version is told");
        self.append(self.bare.registry_statement(next, event)).await
    }
}
