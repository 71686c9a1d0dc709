//! `truc admin connections`: the delivery streams that are open.

use clap::Args;
use truc_proto::admin::v1 as pb;

use super::remote::{BrokerAddress, PAGES_MAX, age, heads};
use crate::failure::{Exit, Failure};
use crate::measure;
use crate::output::Output;

/// Show the delivery streams of the edges: from where, since when, what is under way and what waits because the other side does not read.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    broker: BrokerAddress,
}

#[derive(serde::Serialize)]
struct Connection<'a> {
    agency: &'a str,
    peer: &'a str,
    since: &'a str,
    edge_term: u64,
    credit: u32,
    leased: u64,
    receipts_unconfirmed: u64,
    items_waiting: u64,
}

pub(super) async fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let mut client = arguments.broker.connect().await?;
    let (mut connections, mut page_token, mut now) = (Vec::new(), String::new(), String::new());
    for _ in 0..PAGES_MAX {
        let request = pb::ListConnectionsRequest { page_size: 0, page_token };
        let page = client.list_connections(request).await.map_err(|status| arguments.broker.failure(&status))?.into_inner();
        connections.extend(page.connections);
        (page_token, now) = (page.next_page_token, page.now);
        if page_token.is_empty() {
            break;
        }
    }
    if output.is_json() {
        connections.iter().try_for_each(|connection| output.data("", &object(connection)))?;
        return Ok(Exit::Done);
    }
    let language = output.language();
    let head = [
        ("AGENCY", "CƠ QUAN"),
        ("FROM", "ĐỊA CHỈ"),
        ("FOR", "THỜI GIAN"),
        ("TERM", "NHIỆM KỲ"),
        ("CREDIT", "HẠN MỨC"),
        ("LEASED", "ĐANG GIAO"),
        ("UNCONFIRMED", "CHƯA XÁC NHẬN"),
        ("HELD UP", "BỊ NGHẼN"),
    ];
    let mut rows = vec![heads(language, head)];
    for connection in &connections {
        let numbers = [
            connection.edge_term,
            u64::from(connection.credit),
            connection.leased,
            connection.receipts_unconfirmed,
            connection.items_waiting,
        ];
        let mut cells = vec![connection.agency.clone(), connection.peer.clone(), age(&connection.since, &now)];
        cells.extend(numbers.map(|number| number.to_string()));
        rows.push(cells);
    }
    let count = u64::try_from(connections.len()).unwrap_or(u64::MAX);
    let connected = language.count(count, "edge is connected", "edges are connected", "nút biên đang kết nối");
    output.data(&format!("{}\n{connected} {} {now}", measure::table(&rows), language.choose("at", "lúc")), &())?;
    Ok(Exit::Done)
}

fn object(connection: &pb::Connection) -> Connection<'_> {
    Connection {
        agency: &connection.agency,
        peer: &connection.peer,
        since: &connection.since,
        edge_term: connection.edge_term,
        credit: connection.credit,
        leased: connection.leased,
        receipts_unconfirmed: connection.receipts_unconfirmed,
        items_waiting: connection.items_waiting,
    }
}
