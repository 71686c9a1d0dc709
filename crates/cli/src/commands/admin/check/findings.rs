//! The findings of `truc admin check`: what a number of a node means, where a warning begins, what to do about it. Each is judged alone, from what the
//! node said, and told in both languages. Not how it was asked.

use serde::Serialize;
use truc_ledger::{LogVerifier, checkpoint};
use truc_proto::admin::v1 as pb;
use truc_transport::clock;
use truc_types::limits::{CLOCK_SKEW_MILLIS_MAX, VIEW_LAG_ENTRIES_MAX};
use truc_types::{Reason, Timestamp};

use crate::commands::admin::agencies;
use crate::commands::admin::remote::{age, age_millis};
use crate::failure::Failure;
use crate::language::Language;
use crate::measure;

const MINUTE_MILLIS: u64 = 60_000;
const DAY_MILLIS: u64 = 24 * 60 * MINUTE_MILLIS;
/// Certificates that end within a month are renewed in time, within a week hardly.
const CERTIFICATE_WARNING_MILLIS: u64 = 30 * DAY_MILLIS;
const CERTIFICATE_PROBLEM_MILLIS: u64 = 7 * DAY_MILLIS;
/// Free space in hundredths of the disk.
const DISK_WARNING_PERCENT: u64 = 20;
const DISK_PROBLEM_PERCENT: u64 = 5;
/// Urgent documents are handled at once, any other within the working day.
const URGENT_WARNING_MILLIS: u64 = 10 * MINUTE_MILLIS;
const NORMAL_WARNING_MILLIS: u64 = DAY_MILLIS;
/// A backup a day is the least; after a week without one nobody looks after it.
const BACKUP_WARNING_MILLIS: u64 = 2 * DAY_MILLIS;
const BACKUP_PROBLEM_MILLIS: u64 = 7 * DAY_MILLIS;
/// Entries that are decided and not durable: more than two full blocks are a disk that does not keep up.
const DURABLE_LAG_WARNING: u64 = 1_024;
/// Names in one finding.
const NAMED_MAX: usize = 5;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    Warning,
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    finding: &'static str,
    pub(super) state: State,
    detail: String,
    detail_vi: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    what_to_do: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    what_to_do_vi: &'static str,
}

/// English and Vietnamese.
type Advice = (&'static str, &'static str);

const NOTHING: Advice = ("", "");

impl Finding {
    fn new(name: &'static str, state: State, (detail, detail_vi): (String, String), (what_to_do, what_to_do_vi): Advice) -> Self {
        Self { finding: name, state, detail, detail_vi, what_to_do, what_to_do_vi }
    }

    /// For people.
    pub(super) fn text(&self, language: Language) -> String {
        let state = match self.state {
            State::Ok => language.choose("ok", "tốt"),
            State::Warning => language.choose("WARNING", "CẢNH BÁO"),
            State::Problem => language.choose("PROBLEM", "SỰ CỐ"),
        };
        let text = format!("{state:<8} {:<18} {}", self.finding, language.choose(&self.detail, &self.detail_vi));
        match self.state {
            State::Ok => text,
            _ => format!("{text}\n         {:<18} → {}", "", language.choose(self.what_to_do, self.what_to_do_vi)),
        }
    }
}

pub(super) fn unreachable(cause: &Failure) -> Finding {
    let advice = cause.advice(Language::En).zip(cause.advice(Language::Vi));
    let advice = advice.unwrap_or(("see whether the process runs, then its log", "xem tiến trình có chạy không, rồi xem nhật ký của nó"));
    Finding::new("connect", State::Problem, (cause.message(Language::En), cause.message(Language::Vi)), advice)
}

pub(super) fn up(url: &str, health: &pb::GetBrokerHealthResponse) -> Finding {
    let up = measure::millis(age_millis(&health.started_at, &health.now).unwrap_or(0));
    Finding::new("connect", State::Ok, (format!("{url}, up for {up}"), format!("{url}, đã chạy {up}")), NOTHING)
}

pub(super) fn edge_there(url: &str, agency: &str) -> Finding {
    let detail = (format!("the edge of {agency} at {url}"), format!("nút biên của {agency} tại {url}"));
    Finding::new("connect", State::Ok, detail, NOTHING)
}

/// What the process finds of itself. One that has just started has not looked at everything yet; that is no fault.
pub(super) fn ready(checks: &[pb::Check]) -> Finding {
    let required = |state: &'static str| checks.iter().filter(move |check| check.required && check.state == state);
    let names = |state| required(state).map(|check| check.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(first) = required("failing").next() {
        let failing = required("failing").map(|check| format!("{}: {}", check.name, check.message)).collect::<Vec<_>>().join("; ");
        let reason = first.reason.parse::<Reason>().ok();
        let advice = reason.map_or(("see its log for the reason", "xem lý do trong nhật ký của nó"), |reason| {
            (reason.advice(), reason.advice_vi())
        });
        return Finding::new("ready", State::Problem, (failing.clone(), failing), advice);
    }
    let detail = if required("waiting").next().is_none() {
        (format!("{} pass", names("passing")), format!("đạt: {}", names("passing")))
    } else {
        let waiting = names("waiting");
        (format!("it has just started: {waiting} not looked at yet"), format!("vừa khởi động: chưa kiểm tra {waiting}"))
    };
    Finding::new("ready", State::Ok, detail, NOTHING)
}

pub(super) fn durable(health: &pb::GetBrokerHealthResponse) -> Finding {
    let lag = health.decided_position.saturating_sub(health.durable_position);
    let state = if lag > DURABLE_LAG_WARNING { State::Warning } else { State::Ok };
    let entries = Language::En.count(lag, "entry waits", "entries wait", "");
    let detail = (format!("{entries} for the disk"), format!("{lag} bản ghi chờ ghi xuống đĩa"));
    let advice = ("look at the disk: latency, other writers, health", "kiểm tra đĩa: độ trễ, tiến trình khác đang ghi, tình trạng đĩa");
    Finding::new("journal.lag", state, detail, advice)
}

pub(super) fn line(health: &pb::GetEdgeHealthResponse) -> Finding {
    let (term, leaves) = (health.edge_term, health.observed_log_size);
    let (state, detail) = if health.connected {
        let english = format!("connected in edge term {term}, {leaves} leaves of the log verified");
        (State::Ok, (english, format!("đang kết nối ở nhiệm kỳ {term}, đã kiểm tra {leaves} lá của nhật ký")))
    } else {
        let english = "not connected to the axis; documents are kept and sent later".to_owned();
        (State::Problem, (english, "không kết nối được với trục; văn bản được giữ lại và gửi sau".to_owned()))
    };
    let advice = (
        "see the edge's log: line, broker address, certificate, or another edge of the agency",
        "xem nhật ký của nút biên: đường truyền, địa chỉ trục, chứng thư, hoặc có nút biên khác của cùng cơ quan",
    );
    Finding::new("axis.connection", state, detail, advice)
}

pub(super) fn outbox(health: &pb::GetEdgeHealthResponse) -> Finding {
    let age = age_millis(&health.oldest_waiting_at, &health.now).unwrap_or(0);
    let state = if age > NORMAL_WARNING_MILLIS { State::Warning } else { State::Ok };
    let (waiting, oldest) = (health.documents_waiting, measure::millis(age));
    let detail = match waiting {
        0 => ("every document has reached the axis".to_owned(), "mọi văn bản đã đến trục".to_owned()),
        _ => (
            format!("{} not reached the axis, the oldest for {oldest}", Language::En.count(waiting, "document has", "documents have", "")),
            format!("{waiting} văn bản chưa đến trục, lâu nhất {oldest}"),
        ),
    };
    let advice = (
        "see axis.connection, and the edge's log for refusals that repeat",
        "xem axis.connection, và nhật ký nút biên xem có lời từ chối lặp lại không",
    );
    Finding::new("outbox.age", state, detail, advice)
}

pub(super) fn receipts(waiting: u64) -> Finding {
    let receipts = Language::En.count(waiting, "sealed receipt is", "sealed receipts are", "");
    let detail = (format!("{receipts} not in the log yet"), format!("{waiting} biên nhận đã đóng dấu chưa vào nhật ký"));
    Finding::new("receipts.waiting", State::Ok, detail, NOTHING)
}

pub(super) fn release(found: &str) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    let state = if found == own { State::Ok } else { State::Warning };
    let detail = (format!("it runs {found}, this command is {own}"), format!("đang chạy {found}, lệnh này là {own}"));
    Finding::new(
        "release",
        state,
        detail,
        ("use the command of the release that runs", "dùng lệnh cùng phiên bản với tiến trình đang chạy"),
    )
}

pub(super) fn skew(asked: Timestamp, now: &str) -> Finding {
    let told: Option<Timestamp> = now.parse().ok();
    let apart = told.map_or(u64::MAX, |told| told.millis_since(clock::now()).max(asked.millis_since(told)));
    let state = match apart {
        0..=1_000 => State::Ok,
        apart if apart <= CLOCK_SKEW_MILLIS_MAX / 2 => State::Warning,
        _ => State::Problem,
    };
    let apart = measure::millis(apart);
    let detail =
        (format!("its clock and that of this machine are {apart} apart"), format!("đồng hồ của nó và của máy này lệch nhau {apart}"));
    let advice = (
        "synchronise both clocks with the axis (Decision 28/2018 art. 14.4)",
        "đồng bộ cả hai đồng hồ với trục (Quyết định 28/2018/QĐ-TTg, Điều 14 khoản 4)",
    );
    Finding::new("clock.skew", state, detail, advice)
}

pub(super) fn log(health: &pb::GetBrokerHealthResponse, key: &LogVerifier) -> Finding {
    match checkpoint::open(health.checkpoint.as_bytes(), key) {
        Ok(checkpoint) => {
            let (size, root) = (checkpoint.size, checkpoint.root);
            let detail = (format!("{size} leaves, root {root}, signature verified"), format!("{size} lá, gốc {root}, chữ ký hợp lệ"));
            Finding::new("log.checkpoint", State::Ok, detail, NOTHING)
        }
        Err(cause) => {
            let advice = (
                "the broker signs with another key than log.vkey names: see which of the two is wrong before anything else",
                "trục ký bằng khoá khác với log.vkey: trước hết phải xác định bên nào sai",
            );
            Finding::new("log.checkpoint", State::Problem, (cause.to_string(), cause.to_string()), advice)
        }
    }
}

pub(super) fn views(health: &pb::GetBrokerHealthResponse) -> Finding {
    let lag = health.durable_position.saturating_sub(health.views_position);
    let state = match lag {
        _ if health.views_broken => State::Warning,
        lag if lag > VIEW_LAG_ENTRIES_MAX / 2 => State::Warning,
        _ => State::Ok,
    };
    let entries = Language::En.count(lag, "entry", "entries", "");
    let (broken, broken_vi) = match health.views_broken {
        true => ("; they cannot be written and are rebuilt at the next start", "; không ghi được, sẽ dựng lại ở lần khởi động sau"),
        false => NOTHING,
    };
    let detail = (format!("{entries} behind the journal{broken}"), format!("chậm hơn nhật ký {lag} bản ghi{broken_vi}"));
    let advice =
        ("look at the disk; nothing is lost, the next start takes longer", "kiểm tra đĩa; không mất gì, lần khởi động sau sẽ lâu hơn");
    Finding::new("views.lag", state, detail, advice)
}

pub(super) fn disk(free: u64, all: u64) -> Finding {
    let percent = free.saturating_mul(100).checked_div(all);
    let state = match percent {
        Some(percent) if percent < DISK_PROBLEM_PERCENT => State::Problem,
        Some(percent) if percent >= DISK_WARNING_PERCENT => State::Ok,
        _ => State::Warning,
    };
    let (free, all, percent) = (measure::bytes(free), measure::bytes(all), percent.unwrap_or(0));
    let detail = (format!("{free} of {all} free ({percent} %)"), format!("còn trống {free} trên {all} ({percent} %)"));
    let advice = (
        "make room or move the data folder to a larger disk: a full disk ends the process",
        "giải phóng chỗ hoặc chuyển thư mục dữ liệu sang đĩa lớn hơn: đĩa đầy thì tiến trình dừng",
    );
    Finding::new("disk.space", state, detail, advice)
}

pub(super) fn certificate(name: &'static str, not_after: &str, now: &str) -> Finding {
    let times: Option<(Timestamp, Timestamp)> = not_after.parse().ok().zip(now.parse().ok());
    let Some((not_after, now)) = times else {
        let detail = ("when it ends cannot be read".to_owned(), "không đọc được thời điểm hết hạn".to_owned());
        let advice = ("look at the certificate with `openssl x509 -text`", "xem chứng thư bằng `openssl x509 -text`");
        return Finding::new(name, State::Warning, detail, advice);
    };
    let left = not_after.millis_since(now);
    let state = match left {
        0..=CERTIFICATE_PROBLEM_MILLIS => State::Problem,
        left if left <= CERTIFICATE_WARNING_MILLIS => State::Warning,
        _ => State::Ok,
    };
    let detail = if left == 0 {
        (format!("ended at {not_after}"), format!("đã hết hạn lúc {not_after}"))
    } else {
        let left = measure::millis(left);
        (format!("ends in {left}, at {not_after}"), format!("còn {left}, hết hạn lúc {not_after}"))
    };
    let advice = (
        "renew it: without a valid certificate nobody connects or seals",
        "gia hạn: không có chứng thư còn hiệu lực thì không kết nối và không đóng dấu được",
    );
    Finding::new(name, state, detail, advice)
}

pub(super) fn backup(at: &str, now: &str) -> Finding {
    let (state, detail) = match age_millis(at, now) {
        None => {
            let english = "no backup of this data folder is known".to_owned();
            (State::Warning, (english, "chưa có bản sao lưu nào của thư mục dữ liệu này".to_owned()))
        }
        Some(age) => {
            let state = match age {
                age if age > BACKUP_PROBLEM_MILLIS => State::Problem,
                age if age > BACKUP_WARNING_MILLIS => State::Warning,
                _ => State::Ok,
            };
            let age = measure::millis(age);
            (state, (format!("the last one began {age} ago"), format!("bản gần nhất bắt đầu cách đây {age}")))
        }
    };
    let advice = (
        "run `truc admin backup`, and `truc admin drill` on what it made (docs/backup.md)",
        "chạy `truc admin backup`, rồi `truc admin drill` trên bản sao lưu đó (docs/backup.md)",
    );
    Finding::new("backup.age", state, detail, advice)
}

pub(super) fn waiting(queues: &[pb::Queue], now: &str) -> Finding {
    let late = |lane: &pb::QueueLane| {
        let limit = if lane.lane == "normal" { NORMAL_WARNING_MILLIS } else { URGENT_WARNING_MILLIS };
        age_millis(&lane.oldest_at, now).is_some_and(|age| age > limit)
    };
    let late: Vec<String> = queues
        .iter()
        .flat_map(|queue| {
            queue.lanes.iter().filter(|lane| late(lane)).map(move |lane| format!("{} ({}, {})", queue.agency, lane.lane, lane.waiting))
        })
        .collect();
    let total: u64 = queues.iter().map(|queue| queue.waiting).sum();
    let (state, detail) = if late.is_empty() {
        let english = format!("{}, none for too long", Language::En.count(total, "delivery waits", "deliveries wait", ""));
        (State::Ok, (english, format!("{total} lượt giao đang chờ, không lượt nào quá lâu")))
    } else {
        let named = named(&late);
        (State::Warning, (format!("too long for their urgency: {named}"), format!("chờ quá lâu so với độ khẩn: {named}")))
    };
    let advice = (
        "call the agency: its edge is away or does not take documents; `truc admin queues` shows which",
        "gọi cho cơ quan đó: nút biên vắng hoặc không lấy văn bản; xem bằng `truc admin queues`",
    );
    Finding::new("queues.age", state, detail, advice)
}

pub(super) fn edges(agencies: &[pb::AgencyDetails], now: &str) -> Finding {
    let away: Vec<String> = agencies
        .iter()
        .filter(|agency| !agency.away_since.is_empty())
        .map(|agency| format!("{} ({})", agency.code, age(&agency.away_since, now)))
        .collect();
    let state = if away.is_empty() { State::Ok } else { State::Warning };
    let all = agencies.len();
    let detail = if away.is_empty() {
        (format!("all {all} edges are connected"), format!("cả {all} nút biên đang kết nối"))
    } else {
        let (count, named) = (away.len(), named(&away));
        (format!("{count} of {all} are away: {named}"), format!("{count} trên {all} nút biên vắng: {named}"))
    };
    let advice = (
        "their documents wait and are not lost; call the agency if it stays so",
        "văn bản gửi đến vẫn chờ và không mất; gọi cho cơ quan đó nếu kéo dài",
    );
    Finding::new("edges.away", state, detail, advice)
}

pub(super) fn seals(agencies: &[pb::AgencyDetails], now: &str) -> Finding {
    let state_of = |agency: &pb::AgencyDetails| match agencies::newest_key(agency) {
        Some(key) => certificate("certificate.seals", &key.not_after, now).state,
        None => State::Problem,
    };
    let bad: Vec<(State, String)> =
        agencies.iter().map(|agency| (state_of(agency), agency.code.clone())).filter(|(state, _)| *state != State::Ok).collect();
    let worst = bad.iter().map(|(state, _)| *state).max().unwrap_or(State::Ok);
    let codes: Vec<String> = bad.into_iter().map(|(_, code)| code).collect();
    let detail = if codes.is_empty() {
        (
            "every agency has a seal certificate with more than a month left".to_owned(),
            "chứng thư đóng dấu của mọi cơ quan còn hạn hơn một tháng".to_owned(),
        )
    } else {
        let named = named(&codes);
        (format!("end soon, have ended or were never there: {named}"), format!("sắp hết hạn, đã hết hạn hoặc chưa từng có: {named}"))
    };
    let advice = ("have these agencies renew their seal certificates", "yêu cầu các cơ quan này gia hạn chứng thư đóng dấu");
    Finding::new("certificate.seals", worst, detail, advice)
}

fn named(names: &[String]) -> String {
    let more = if names.len() > NAMED_MAX { ", …" } else { "" };
    format!("{}{more}", names.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-06-01T00:00:00.000Z";

    #[test]
    fn each_threshold_is_seen_on_both_sides() {
        let certificate = |not_after: &str| certificate("certificate.tls", not_after, NOW).state;
        assert_eq!(certificate("2026-09-01T00:00:00.000Z"), State::Ok);
        assert_eq!(certificate("2026-06-20T00:00:00.000Z"), State::Warning);
        assert_eq!(certificate("2026-06-03T00:00:00.000Z"), State::Problem);
        assert_eq!(certificate("2026-05-01T00:00:00.000Z"), State::Problem);
        assert_eq!(certificate(""), State::Warning);
        assert_eq!([50, 19, 4].map(|free| disk(free, 100).state), [State::Ok, State::Warning, State::Problem]);
        assert_eq!(disk(0, 0).state, State::Warning);
        let backup = |at: &str| backup(at, NOW).state;
        assert_eq!(backup("2026-05-31T00:00:00.000Z"), State::Ok);
        assert_eq!(backup("2026-05-29T00:00:00.000Z"), State::Warning);
        assert_eq!(backup("2026-05-01T00:00:00.000Z"), State::Problem);
        assert_eq!(backup(""), State::Warning);
    }

    #[test]
    fn an_urgent_document_is_late_long_before_a_normal_one() {
        let queue = |lane: &str, oldest_at: &str| pb::Queue {
            agency: "G12".to_owned(),
            waiting: 1,
            lanes: vec![pb::QueueLane { lane: lane.to_owned(), waiting: 1, oldest_at: oldest_at.to_owned() }],
            ..pb::Queue::default()
        };
        let an_hour_ago = "2026-05-31T23:00:00.000Z";
        assert_eq!(waiting(&[queue("normal", an_hour_ago)], NOW).state, State::Ok);
        assert_eq!(waiting(&[queue("flash", an_hour_ago)], NOW).state, State::Warning);
        assert_eq!(waiting(&[queue("normal", "2026-05-30T00:00:00.000Z")], NOW).state, State::Warning);
    }
}
