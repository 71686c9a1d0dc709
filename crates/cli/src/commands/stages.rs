//! How far a document is, in words: stable codes for programs, the words of both languages for people. The meanings stand in the proto.

use truc_proto::edge::v1::{Event, Stage, Step, event};

use crate::language::Language;

/// A step for programs.
pub(super) const fn step(step: Step) -> &'static str {
    match step {
        Step::Unspecified => "unknown",
        Step::Waiting => "waiting",
        Step::Queued => "queued",
        Step::Fetched => "fetched",
        Step::Acknowledged => "acknowledged",
        Step::Refused => "refused",
    }
}

/// A step for people; those that Decision 28/2018/QĐ-TTg names have its words.
pub(super) const fn step_word(reached: Step, language: Language) -> &'static str {
    let vietnamese = match reached {
        Step::Unspecified => "chưa rõ",
        Step::Waiting => "chờ vào trục",
        Step::Queued => "chờ bên nhận lấy",
        Step::Fetched => "đã đến",
        Step::Acknowledged => "đã tiếp nhận",
        Step::Refused => "từ chối nhận",
    };
    language.choose(step(reached), vietnamese)
}

/// A stage for programs.
pub(super) const fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Unspecified => "unknown",
        Stage::Stored => "stored",
        Stage::Sealed => "sealed",
        Stage::Accepted => "accepted",
        Stage::RefusedByAxis => "refused_by_axis",
    }
}

/// A stage for people.
pub(super) const fn stage_word(reached: Stage, language: Language) -> &'static str {
    let vietnamese = match reached {
        Stage::Unspecified => "chưa rõ",
        Stage::Stored => "đã lưu tại nút biên",
        Stage::Sealed => "đã đóng dấu",
        Stage::Accepted => "đã vào trục",
        Stage::RefusedByAxis => "bị trục từ chối",
    };
    language.choose(stage(reached), vietnamese)
}

/// A kind of event for programs.
pub(super) fn kind(event: &Event) -> String {
    event.kind().as_str_name().trim_start_matches("KIND_").to_ascii_lowercase()
}

/// A kind of event for people.
pub(super) fn kind_word(happened: &Event, language: Language) -> String {
    let vietnamese = match happened.kind() {
        event::Kind::Unspecified => "chưa rõ",
        event::Kind::Stored => "đã lưu tại nút biên",
        event::Kind::Sealed => "đã đóng dấu",
        event::Kind::Accepted => "đã vào trục",
        event::Kind::RefusedByAxis => "bị trục từ chối",
        event::Kind::Queued => "chờ bên nhận lấy",
        event::Kind::Fetched => "đã đến bên nhận",
        event::Kind::Acknowledged => "bên nhận đã tiếp nhận",
        event::Kind::Refused => "bên nhận từ chối nhận",
        event::Kind::Arrived => "văn bản đến, đang ghi nhận",
        event::Kind::Shown => "văn bản đến, đọc được",
        event::Kind::Discarded => "văn bản đến, không được tính là đã giao",
        event::Kind::AnsweredAcknowledged => "đã báo tiếp nhận",
        event::Kind::AnsweredRefused => "đã trả lại",
        event::Kind::AnswerLogged => "trả lời đã vào nhật ký của trục",
        event::Kind::AnswerDropped => "trục không nhận trả lời",
    };
    match language {
        Language::En => kind(happened),
        Language::Vi => vietnamese.to_owned(),
    }
}
