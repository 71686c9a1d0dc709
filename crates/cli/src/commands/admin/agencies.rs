//! `truc admin agencies`: who is on the axis, with which keys, and whether its edge is there.

use clap::Args;
use truc_proto::admin::v1 as pb;

use super::remote::{BrokerAddress, Client, PAGES_MAX, age, heads, presence, row};
use crate::failure::{Exit, Failure};
use crate::measure;
use crate::output::Output;

/// Show the agencies: codes, name, seal keys and when they end, since when the edge is connected or away, its term, what waits for it.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    broker: BrokerAddress,
}

#[derive(serde::Serialize)]
struct Agency<'a> {
    code: &'a str,
    old_code: &'a str,
    name_vi: &'a str,
    keys: Vec<Key<'a>>,
    connected_since: &'a str,
    away_since: &'a str,
    edge_term: u64,
    predicates: &'a [String],
    waiting: u64,
}

#[derive(serde::Serialize)]
struct Key<'a> {
    keyid: &'a str,
    role: &'a str,
    not_after: &'a str,
    revoked_at: &'a str,
}

pub(super) async fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let mut client = arguments.broker.connect().await?;
    let (agencies, now) = read(&mut client, &arguments.broker).await?;
    if output.is_json() {
        agencies.iter().try_for_each(|agency| output.data("", &object(agency)))?;
        return Ok(Exit::Done);
    }
    let language = output.language();
    let head = [
        ("CODE", "MÃ"),
        ("OLD CODE", "MÃ CŨ"),
        ("EDGE", "NÚT BIÊN"),
        ("FOR", "THỜI GIAN"),
        ("TERM", "NHIỆM KỲ"),
        ("WAITING", "ĐANG CHỜ"),
        ("SEAL KEY", "KHOÁ ĐÓNG DẤU"),
        ("ENDS", "HẾT HẠN"),
        ("NAME", "TÊN"),
    ];
    let mut rows = vec![heads(language, head)];
    for agency in &agencies {
        let connected = agency.away_since.is_empty();
        let since = age(if connected { &agency.connected_since } else { &agency.away_since }, &now);
        let edge = presence(connected, language);
        let key = newest_key(agency);
        let (keyid, ends) = key.map_or(("-", "-"), |key| (key.keyid.get(..12).unwrap_or("-"), key.not_after.get(..10).unwrap_or("-")));
        let (term, waiting) = (agency.edge_term.to_string(), agency.waiting.to_string());
        let old_code = if agency.old_code.is_empty() { "-" } else { agency.old_code.as_str() };
        rows.push(row([
            agency.code.as_str(),
            old_code,
            edge,
            since.as_str(),
            term.as_str(),
            waiting.as_str(),
            keyid,
            ends,
            agency.name_vi.as_str(),
        ]));
    }
    output.data(&measure::table(&rows), &())?;
    Ok(Exit::Done)
}

/// The key that counts: of those that are not revoked the one that ends last.
pub(super) fn newest_key(agency: &pb::AgencyDetails) -> Option<&pb::SealKeyDetails> {
    agency.keys.iter().filter(|key| key.revoked_at.is_empty()).max_by(|a, b| a.not_after.cmp(&b.not_after))
}

/// All pages.
pub(super) async fn read(client: &mut Client, broker: &BrokerAddress) -> Result<(Vec<pb::AgencyDetails>, String), Failure> {
    let (mut agencies, mut page_token) = (Vec::new(), String::new());
    for _ in 0..PAGES_MAX {
        let request = pb::ListAgencyDetailsRequest { page_size: 0, page_token };
        let page = client.list_agency_details(request).await.map_err(|status| broker.failure(&status))?.into_inner();
        agencies.extend(page.agencies);
        if page.next_page_token.is_empty() {
            return Ok((agencies, page.now));
        }
        page_token = page.next_page_token;
    }
    Err(Failure::BadAnswer("more pages than there can be".to_owned()))
}

fn object(agency: &pb::AgencyDetails) -> Agency<'_> {
    Agency {
        code: &agency.code,
        old_code: &agency.old_code,
        name_vi: &agency.name_vi,
        keys: agency
            .keys
            .iter()
            .map(|key| Key { keyid: &key.keyid, role: &key.role, not_after: &key.not_after, revoked_at: &key.revoked_at })
            .collect(),
        connected_since: &agency.connected_since,
        away_since: &agency.away_since,
        edge_term: agency.edge_term,
        predicates: &agency.predicates,
        waiting: agency.waiting,
    }
}
