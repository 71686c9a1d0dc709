//! The crash of the demo: a few hundred documents, the broker killed with SIGKILL in the middle, and the count afterwards.

use std::collections::BTreeMap;

use truc_proto::edge::v1::{self as pb, Step};

use super::Show;
use super::axis::Axis;
use super::letters::{PATIENCE, letter};
use crate::failure::Failure;

/// Sends documents from G22 to G12 and H53 in turn; kills the broker after half of them; shows that each arrived exactly once.
pub(super) async fn run(axis: &mut Axis, documents: u32, show: &mut Show<'_>) -> Result<(), Failure> {
    let mut dms = axis.dms("G22").await?;
    let failed = |status: tonic::Status| Failure::of_status("the edge of G22", &status);
    let mut expected: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for number in 0..documents {
        if number == documents / 2 {
            let pid = axis.kill_broker()?;
            show.step(
                "killed",
                &format!("broker  process {pid} got SIGKILL after {number} of {documents} documents were handed in"),
                &format!("trục  tiến trình {pid} bị SIGKILL sau khi {number}/{documents} văn bản được gửi"),
            )?;
        }
        let recipient = if number % 2 == 0 { "G12" } else { "H53" };
        let requests = letter("", &format!("demo-burst-{number}"), &[recipient], 0).requests;
        let message_id = dms.send_document(tokio_stream::iter(requests)).await.map_err(failed)?.into_inner().message_id;
        expected.entry(recipient).or_default().push(message_id);
        let done = number + 1;
        show.progress(&format!("          {done} of {documents} handed in"), &format!("          đã gửi {done}/{documents}"));
    }
    let orphans = documents - documents / 2;
    show.step(
        "stored",
        &format!("all {documents} are stored at the edge of G22, {orphans} while the broker was dead"),
        &format!("nút biên G22 đã lưu cả {documents}, trong đó {orphans} khi trục đang tắt"),
    )?;
    let pid = axis.start_broker()?;
    show.step(
        "restarted",
        &format!("broker  process {pid} starts on the same journal"),
        &format!("trục  tiến trình {pid} khởi động trên cùng nhật ký"),
    )?;

    let mut arrived = 0;
    for (agency, message_ids) in &mut expected {
        register_all(axis, agency, message_ids, show).await?;
        arrived += message_ids.len();
    }
    let message_ids: Vec<String> = expected.into_values().flatten().collect();
    wait_until_known(axis, &message_ids, show).await?;
    show.step(
        "counted",
        &format!("{documents} handed in, {arrived} arrived, 0 lost, 0 doubled; G22 has a sealed receipt for each"),
        &format!("gửi {documents}, đến {arrived}, mất 0, trùng 0; G22 có biên nhận đóng dấu cho từng văn bản"),
    )
}

/// Registers everything that comes until all documents are there; then counts what the edge ever showed.
async fn register_all(axis: &Axis, agency: &str, message_ids: &[String], show: &mut Show<'_>) -> Result<(), Failure> {
    let failed = |status: tonic::Status| Failure::of_status(&format!("the edge of {agency}"), &status);
    let mut dms = axis.dms(agency).await?;
    let mut missing: std::collections::BTreeSet<&String> = message_ids.iter().collect();
    let request = pb::ReceiveDocumentsRequest { after_cursor: Some(0), no_wait: false };
    let mut documents = dms.receive_documents(request).await.map_err(failed)?.into_inner();
    while !missing.is_empty() {
        let next = tokio::time::timeout(PATIENCE, documents.message()).await;
        let next = next.map_err(|_| Failure::BadAnswer(format!("{} documents did not arrive at {agency}", missing.len())))?;
        let Some(document) = next.map_err(failed)?.and_then(|response| response.document) else { break };
        if missing.remove(&document.message_id) {
            let request =
                pb::AcknowledgeRequest { message_id: document.message_id, recipient: document.recipient, arrival_number: String::new() };
            axis.dms(agency).await?.acknowledge(request).await.map_err(failed)?;
            let (here, all) = (message_ids.len() - missing.len(), message_ids.len());
            show.progress(&format!("          {here} of {all} at {agency}"), &format!("          {here}/{all} tại {agency}"));
        }
    }
    let request = pb::ReceiveDocumentsRequest { after_cursor: Some(0), no_wait: true };
    let mut all = dms.receive_documents(request).await.map_err(failed)?.into_inner();
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    while let Some(response) = all.message().await.map_err(failed)? {
        *times.entry(response.document.map(|document| document.message_id).unwrap_or_default()).or_default() += 1;
    }
    match message_ids.iter().find(|message_id| times.get(*message_id) != Some(&1)) {
        Some(message_id) => {
            let count = times.get(message_id).copied().unwrap_or(0);
            Err(Failure::BadAnswer(format!("{message_id} stands {count} times at {agency}")))
        }
        None => Ok(()),
    }
}

/// Waits until the sender knows of every acknowledgement.
async fn wait_until_known(axis: &Axis, message_ids: &[String], show: &mut Show<'_>) -> Result<(), Failure> {
    let failed = |status: tonic::Status| Failure::of_status("the edge of G22", &status);
    let mut dms = axis.dms("G22").await?;
    for (number, message_id) in (1..).zip(message_ids) {
        let request = pb::WatchStatusRequest { message_id: message_id.clone() };
        let mut statuses = dms.watch_status(request).await.map_err(failed)?.into_inner();
        loop {
            let next = tokio::time::timeout(PATIENCE, statuses.message()).await;
            let next = next.map_err(|_| Failure::BadAnswer(format!("the receipt for {message_id} did not come back")))?;
            let Some(status) = next.map_err(failed)?.and_then(|response| response.status) else { break };
            if status.recipients.iter().all(|recipient| recipient.step() == Step::Acknowledged) {
                break;
            }
        }
        let all = message_ids.len();
        show.progress(
            &format!("          {number} of {all} receipts are back at G22"),
            &format!("          {number}/{all} biên nhận đã về G22"),
        );
    }
    Ok(())
}
