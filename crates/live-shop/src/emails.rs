//! Order emails: the checkout queues a job, and a worker sends the email, even if either crashes.

use std::sync::Arc;
use std::time::Duration;

use patterns::checkout::Order;
use patterns::job_queue::{Effect, Job};
use patterns::job_worker::{Stats, Worker};
use patterns::money::Cents;
use serde::{Deserialize, Serialize};

use crate::changes::{Change, Kind};
use crate::state::{App, EMAILS};

/// How long one read of the worker blocks.
const BLOCK: Duration = Duration::from_secs(5);

/// What the job carries.
#[derive(Debug, Deserialize, Serialize)]
pub struct Email {
    order: String,
    to: String,
    total: Cents,
}

impl Email {
    /// The email for an order.
    pub fn of(order: &Order) -> Self {
        Self { order: order.id.clone(), to: order.owner.clone(), total: order.total }
    }

    /// The payload of its job.
    pub fn to_json(&self) -> String {
        serde_json::json!(self).to_string()
    }
}

/// Sends emails until `stop` is ready.
pub async fn work(app: App, stop: impl Future<Output = ()>) -> Result<Stats, patterns::script::StoreError> {
    let link = app.link.clone();
    let open = move || {
        let target = link.target();
        async move { target.blocking(BLOCK).await }
    };
    let worker = Worker::new(&app.prefix, EMAILS, open)?.with_grace(Duration::from_secs(5));
    let send = move |job: Job| send(Arc::clone(&app), job);
    Ok(worker.run(send, stop).await)
}

/// 'Sends' an email: notifies the customer once per order, and returns an outbox line that is written when the job completes.
async fn send(app: App, job: Job) -> Result<Vec<Effect>, String> {
    let email: Email = serde_json::from_slice(&job.payload).map_err(|error| error.to_string())?;
    let text = format!("Order {}: You were charged {}. The email is on its way.", email.order, email.total);
    app.notifications.send(&email.to, &email.order, &text).await.map_err(|error| error.to_string())?;
    app.tell(Change::to(Kind::Note, &email.to)).await;
    let outbox = app.emails.effect_key("outbox").map_err(|error| error.to_string())?;
    Ok(vec![Effect::list_push(&outbox, text)])
}
