//! The directory of a small axis, asked as broker and edge ask it.

use truc_core::registry::Registry;
use truc_proto::directory::v1 as pb;
use truc_signing::statement::{
    AgencyJoined, Business, Doc, Envelope, Genesis, Organisation, PublishedLimits, Registry as Statement, RegistryEvent, Sender,
};
use truc_types::names::ENVELOPE_V1;
use truc_types::{Digest, EdgeTerm, MessageId, OrganisationCode, Position, Reason, SenderSeq, Timestamp};

use crate::{Filter, Paging, agencies, axis, changes, check_sendable, look_up, organisations};

fn code(text: &str) -> OrganisationCode {
    text.parse().unwrap()
}

fn organisation(text: &str, old: Option<&str>, name: &str) -> Organisation {
    Organisation {
        code: code(text),
        old_code: old.map(code),
        name: Some(name.to_owned()),
        served_by: "H53".parse().unwrap(),
        parent: Some(code("H53")),
        valid_from: None,
        valid_until: None,
        successors: Vec::new(),
    }
}

fn joined(agency: &str, name: &str, status: &str, predicates: &[&str]) -> RegistryEvent {
    RegistryEvent::AgencyJoined(AgencyJoined {
        agency: agency.parse().unwrap(),
        old_code: Some(format!("000.00.00.{agency}").parse().unwrap()),
        name_vi: name.to_owned(),
        name_en: None,
        kind: "province".to_owned(),
        code_status: status.to_owned(),
        valid_from: None,
        predicates: predicates.iter().map(|predicate| (*predicate).to_owned()).collect(),
    })
}

fn apply(registry: &mut Registry, event: RegistryEvent) {
    let version = registry.version() + 1;
    let statement = Statement { version, at: Timestamp::default(), event, required_signers: Vec::new() };
    registry.apply(Position(version - 1), &statement).unwrap();
}

fn registry() -> Registry {
    let limits = PublishedLimits {
        attachment_bytes: 1_000,
        attachments: 2,
        recipients: 3,
        statement_bytes: 60_000,
        receipt_items: 100,
        envelope_age_days: 400,
    };
    let genesis = Genesis {
        axis_name: "Trục thử".to_owned(),
        log_origin: "truc.example/axis/2026".to_owned(),
        log_vkey: "key".to_owned(),
        ca_pem: String::new(),
        operator_keyid: Digest([0; 32]),
        operator_pem: String::new(),
        limits,
        loopback_kind: "truc.loopback".to_owned(),
        predicates: vec![ENVELOPE_V1.to_owned()],
    };
    let mut registry = Registry::default();
    apply(&mut registry, RegistryEvent::Genesis(Box::new(genesis)));
    apply(&mut registry, joined("G22", "Văn phòng Chính phủ", "confirmed", &[ENVELOPE_V1]));
    apply(&mut registry, joined("H53", "UBND tỉnh Tây Ninh", "alphabetical", &[ENVELOPE_V1]));
    apply(&mut registry, joined("H54", "UBND tỉnh Thái Bình", "alphabetical", &[]));
    let units = vec![organisation("H53.13", Some("000.00.13.H53"), "Sở Thông tin"), organisation("H53.14", None, "Sở Tư pháp")];
    apply(&mut registry, RegistryEvent::OrganisationsAdded(units));
    registry
}

fn found(registry: &Registry, filter: &Filter, size: u32) -> Vec<String> {
    let (mut codes, mut paging) = (Vec::new(), Paging { size, token: String::new() });
    loop {
        let page = organisations(registry, filter, &paging).unwrap();
        assert!(page.items.len() <= usize::try_from(size).unwrap());
        codes.extend(page.items.into_iter().map(|organisation| organisation.code));
        if page.next_token.is_empty() {
            return codes;
        }
        paging.token = page.next_token;
    }
}

#[test]
fn lists_page_by_code_and_search_without_diacritics() {
    let registry = registry();
    let all = ["G22", "H53", "H53.13", "H53.14", "H54"];
    for size in [1, 2, 5, 9] {
        assert_eq!(found(&registry, &Filter::default(), size), all);
    }
    let query = |query: &str| found(&registry, &Filter { query: query.to_owned(), ..Filter::default() }, 1);
    assert_eq!(query("TAY ninh"), ["H53"]);
    assert_eq!(query("sở"), ["H53.13", "H53.14"]);
    assert_eq!(query("h53."), ["H53.13", "H53.14"]);
    assert_eq!(query("không có"), [""; 0]);
    assert_eq!(found(&registry, &Filter { served_by: "H53".to_owned(), query: "phap".to_owned() }, 2), ["H53.14"]);
    let listed = agencies(&registry, &Paging { size: 2, token: "G22".to_owned() }).unwrap();
    let status: Vec<_> = listed.items.iter().map(|agency| (agency.code.as_str(), agency.code_is_official)).collect();
    assert_eq!((status, listed.next_token.as_str()), (vec![("H53", false), ("H54", false)], ""));
    assert_eq!(axis(&registry).unwrap().organisations, 5);
    for wrong in [Filter { served_by: "H99".to_owned(), ..Filter::default() }, Filter { query: "x".repeat(101), ..Filter::default() }] {
        assert_eq!(organisations(&registry, &wrong, &Paging::default()).unwrap_err().reason, Reason::RequestInvalid);
    }
}

#[test]
fn a_code_of_either_scheme_is_found_and_an_unknown_one_gets_suggestions() {
    let mut registry = registry();
    let own = look_up(&registry, "H53.13").unwrap();
    let old = look_up(&registry, "000.00.13.H53").unwrap();
    assert_eq!((own.scheme, old.scheme), (pb::CodeScheme::Own, pb::CodeScheme::Old));
    assert_eq!((own.organisation.clone(), own.agency.code.as_str()), (old.organisation, "H53"));
    // A code that becomes somebody's own is not read as an old one any more.
    apply(&mut registry, RegistryEvent::OrganisationsAdded(vec![organisation("000.00.13.H53", None, "Đơn vị khác")]));
    assert_eq!(look_up(&registry, "000.00.13.H53").unwrap().organisation.name, "Đơn vị khác");

    let refused = look_up(&registry, "H53.15").unwrap_err();
    assert_eq!(refused.reason, Reason::RecipientUnknown);
    assert_eq!(refused.value("near"), Some("H53.13,H53.14"));
    // The right code in the other scheme's order: what it means is not computed, only suggested.
    assert_eq!(look_up(&registry, "000.00.14.H53").unwrap_err().values[1].1.split(',').next(), Some("H53.14"));
    assert_eq!(look_up(&registry, "h53").unwrap_err().reason, Reason::RequestInvalid);
}

#[test]
fn changes_give_each_entry_once_as_it_is_now_even_when_more_change_between_two_pages() {
    let mut registry = registry();
    let version = registry.version();
    let page = |registry: &Registry, from, size, token: &str| {
        let page = changes(registry, from, &Paging { size, token: token.to_owned() }).unwrap();
        let items: Vec<_> = page.items.iter().map(|change| (change.kind(), change.organisation.clone().unwrap().code)).collect();
        (items, page.next_token, page.version)
    };
    assert_eq!(page(&registry, 0, 0, "").0.len(), 5);
    assert_eq!(page(&registry, version, 0, ""), (Vec::new(), String::new(), version));
    let mut ended = organisation("H53.14", None, "Sở Tư pháp");
    ended.valid_until = Some("2026-06-30".parse().unwrap());
    ended.successors = vec![code("H53.13")];
    apply(&mut registry, RegistryEvent::OrganisationsAdded(vec![ended, organisation("H53.15", None, "Sở mới")]));
    let (first, token, _) = page(&registry, version, 1, "");
    assert_eq!(first, [(pb::change::Kind::Removed, "H53.14".to_owned())]);
    // In the middle of the reading, one that was read and one that was not change.
    let again = vec![organisation("H53.14", None, "Sở Tư pháp"), organisation("H53.15", None, "Sở mới nhất")];
    apply(&mut registry, RegistryEvent::OrganisationsAdded(again));
    let (rest, token, reached) = page(&registry, version, 9, &token);
    assert_eq!(rest, [(pb::change::Kind::Changed, "H53.14".to_owned()), (pb::change::Kind::Added, "H53.15".to_owned())]);
    assert_eq!((token.as_str(), reached), ("", registry.version()));
    for (from, token) in [(99, ""), (0, "x"), (0, "1/x"), (0, "x/H53")] {
        let refused = changes(&registry, from, &Paging { size: 0, token: token.to_owned() }).unwrap_err();
        assert_eq!(refused.reason, Reason::RequestInvalid);
    }
}

fn envelope(sender: &str, recipients: &[&str]) -> Envelope {
    Envelope {
        message_id: MessageId::from_bytes([1; 16]),
        sender: Sender { organisation: code(sender), agency: "G22".parse().unwrap() },
        recipients: recipients.iter().map(|text| code(text)).collect(),
        business: Business::New,
        business_reason: None,
        in_reply_to: Vec::new(),
        thread: None,
        recalls: None,
        updates: None,
        replaces: Vec::new(),
        doc: Doc::new("1", "VPCP", "Thử"),
        attachments: Vec::new(),
        edxml: None,
        contact: None,
        created_at: Timestamp::default(),
        expires_at: None,
        edge_term: EdgeTerm(1),
        sender_seq: SenderSeq(1),
        nonce: [0; 16],
        observed_log: None,
        required_signers: Vec::new(),
    }
}

#[test]
fn what_the_axis_would_refuse_is_refused_before_and_without_a_directory_nothing_is() {
    let registry = registry();
    let check =
        |sender: &str, recipients: &[&str]| check_sendable(&registry, &envelope(sender, recipients)).map_err(|refusal| refusal.reason);
    assert_eq!(check("G22", &["H53", "000.00.13.H53", "G22"]), Ok(()));
    assert_eq!(check("G22", &["H53", "H99"]), Err(Reason::RecipientUnknown));
    assert_eq!(check("G22", &["H53.13", "000.00.13.H53"]), Err(Reason::RecipientTwice));
    assert_eq!(check("G22", &["H54"]), Err(Reason::RecipientCannotRead));
    assert_eq!(check("H53", &["H53"]), Err(Reason::SenderUnknown));
    assert_eq!(check("G22", &["H53", "H53.13", "H53.14", "G22"]), Err(Reason::StatementTooLong));
    let refused = check_sendable(&registry, &envelope("G22", &["H53.12"])).unwrap_err();
    assert!(refused.message.contains("H53.13"), "{refused}");
    assert_eq!(check_sendable(&Registry::default(), &envelope("G22", &["H99"])), Ok(()));
}
