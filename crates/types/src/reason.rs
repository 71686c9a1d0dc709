//! The stable reasons of everything that can be refused or fail, with whose fault it is, whether a retry helps and what to do.
//!
//! One table for all interfaces. A reason is written `group.name` in logs, facts and on the command line, and `GROUP_NAME` in
//! `google.rpc.ErrorInfo` (AIP-193). Reasons never change their meaning; messages may change.

use std::fmt;
use std::str::FromStr;

use crate::{Blame, Retry};

macro_rules! reasons {
    ($($variant:ident $code:literal $blame:ident $retry:ident
        en $meaning:literal $advice:literal
        vi $meaning_vi:literal $advice_vi:literal)*) => {
        /// A stable reason.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $(
                #[doc = concat!("`", $code, "`: ", $meaning)]
                $variant,
            )*
        }

        impl Reason {
            /// Every reason there is, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The reason as `group.name`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// Whose fault it is.
            #[must_use]
            pub const fn blame(self) -> Blame {
                match self { $(Self::$variant => Blame::$blame,)* }
            }

            /// Whether a retry helps.
            #[must_use]
            pub const fn retry(self) -> Retry {
                match self { $(Self::$variant => Retry::$retry,)* }
            }

            /// What happened, in one clause without a value.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// What to do, in one sentence.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)* }
            }

            /// [`Reason::meaning`] in Vietnamese.
            #[must_use]
            pub const fn meaning_vi(self) -> &'static str {
                match self { $(Self::$variant => $meaning_vi,)* }
            }

            /// [`Reason::advice`] in Vietnamese.
            #[must_use]
            pub const fn advice_vi(self) -> &'static str {
                match self { $(Self::$variant => $advice_vi,)* }
            }
        }
    };
}

reasons! {
    StatementTooLarge "statement.too_large" Caller No
        en "the statement's file is larger than the axis takes" "make the statement smaller: fewer recipients, shorter texts"
        vi "bản tin vượt quá dung lượng mà trục tiếp nhận" "rút gọn bản tin: bớt nơi nhận, rút ngắn các đoạn văn bản"
    StatementNotUtf8 "statement.not_utf8" Caller No
        en "the statement is not UTF-8 text" "encode the statement as UTF-8 without a byte order mark"
        vi "bản tin không dùng bảng mã UTF-8" "mã hóa bản tin bằng UTF-8, không có dấu thứ tự byte (BOM)"
    StatementMalformed "statement.malformed" Caller No
        en "the statement or its DSSE shell is not JSON of the expected form" "send one JSON object as docs/spec/statements.md lays it out"
        vi "bản tin hoặc vỏ DSSE của bản tin không đúng cấu trúc JSON quy định" "gửi một đối tượng JSON đúng như docs/spec/statements.md quy định"
    StatementUnknownField "statement.unknown_field" Caller No
        en "the statement has a field that its predicate type does not know" "remove the field; a new meaning needs a new predicate type"
        vi "bản tin có trường không thuộc loại bản tin này" "bỏ trường đó; nội dung mới cần một loại bản tin mới"
    StatementMissingField "statement.missing_field" Caller No
        en "a field that the statement must have is missing" "add the field"
        vi "bản tin thiếu một trường bắt buộc" "bổ sung trường còn thiếu"
    StatementDuplicateKey "statement.duplicate_key" Caller No
        en "a key of a JSON object stands there twice" "write each key once"
        vi "một khóa JSON xuất hiện hai lần trong cùng một đối tượng" "chỉ viết mỗi khóa một lần"
    StatementWrongType "statement.wrong_type" Caller No
        en "a field has another JSON type than the specification gives" "use the type that docs/spec/statements.md gives"
        vi "một trường có kiểu dữ liệu JSON khác quy định" "dùng kiểu dữ liệu theo docs/spec/statements.md"
    StatementTooLong "statement.too_long" Caller No
        en "a text or a list of the statement is longer than its limit" "shorten the text or list to the limit in the message"
        vi "một đoạn văn bản hoặc danh sách trong bản tin dài quá giới hạn" "rút ngắn theo giới hạn nêu trong thông báo"
    StatementOutOfRange "statement.out_of_range" Caller No
        en "a field has a value that the specification does not allow" "use a value that docs/spec/statements.md allows"
        vi "một trường có giá trị ngoài phạm vi cho phép" "dùng giá trị mà docs/spec/statements.md cho phép"
    StatementUnsupported "statement.unsupported" Caller No
        en "the statement's type or version is not carried here" "use a predicate type that the registry lists for this axis"
        vi "trục không tiếp nhận loại hoặc phiên bản bản tin này" "dùng loại bản tin có trong sổ đăng ký của trục"
    SealMissing "seal.missing" Caller No
        en "the statement carries no signature" "seal the statement with the agency's seal key"
        vi "bản tin không có chữ ký truyền tải" "ký bản tin bằng khóa ký truyền tải của cơ quan"
    SealInvalid "seal.invalid" Caller No
        en "a signature does not verify over the bytes that were sent" "seal exactly the bytes that are sent, with the key that is named"
        vi "chữ ký truyền tải không khớp với nội dung đã gửi" "ký đúng nội dung được gửi, bằng đúng khóa đã nêu"
    SealStripped "seal.stripped" Caller No
        en "the statement names a signer whose signature is not there" "send the signature of every required signer"
        vi "bản tin thiếu chữ ký của một bên phải ký" "gửi đủ chữ ký của các bên phải ký"
    SealForeign "seal.foreign" Caller AfterChange
        en "the seal key is not registered for the agency that sends" "use a seal key whose certificate is in the registry"
        vi "khóa ký không được đăng ký cho cơ quan gửi" "dùng khóa ký có chứng thư số trong sổ đăng ký của trục"
    SealWeakKey "seal.weak_key" Caller No
        en "the key is of small order or not written canonically: anybody could seal with it" "make a new key: this one is of small order or not canonical"
        vi "khóa ký yếu (bậc nhỏ hoặc không chính tắc), ai cũng có thể ký thay" "tạo khóa ký mới và xin cấp chứng thư số mới"
    SealCertificateSwapped "seal.certificate_swapped" Caller No
        en "the statement names another certificate than the registry holds for the key" "name the certificate that the registry holds for this key"
        vi "chứng thư số nêu trong bản tin khác với chứng thư đã đăng ký cho khóa này" "nêu đúng chứng thư số đã đăng ký cho khóa ký"
    SealExpiredReseal "seal.expired_reseal" Caller AfterChange
        en "the certificate of the seal key is not valid at this time" "seal the same document anew with the current certificate"
        vi "chứng thư số của khóa ký chưa có hoặc đã hết hiệu lực" "ký lại văn bản bằng chứng thư số còn hiệu lực"
    SealRevoked "seal.revoked" Caller AfterChange
        en "the certificate of the seal key is revoked" "use a certificate that is not revoked"
        vi "chứng thư số của khóa ký đã bị thu hồi" "dùng chứng thư số chưa bị thu hồi"
    IdentityMissing "identity.missing" Caller AfterChange
        en "the connection has no client certificate that names an agency" "connect with a client certificate of the axis' authority"
        vi "kết nối không có chứng thư số xác định cơ quan" "kết nối bằng chứng thư số do cơ quan chứng thực của trục cấp"
    IdentityExpired "identity.expired" Caller AfterChange
        en "the client certificate of this connection has ended" "renew the TLS certificate and connect again"
        vi "chứng thư số TLS của kết nối này đã hết hiệu lực" "gia hạn chứng thư số TLS rồi kết nối lại"
    IdentityMismatch "identity.mismatch" Caller No
        en "the statement speaks for another agency than the client certificate" "send only for the agency that the client certificate names"
        vi "bản tin mang danh cơ quan khác với chứng thư số của kết nối" "chỉ gửi cho cơ quan ghi trong chứng thư số của kết nối"
    IdentityTokenMissing "identity.token_missing" Caller AfterChange
        en "the call carries no access token, and this edge wants one" "send the header `authorization: Bearer <token>` with a token of this edge"
        vi "lời gọi không kèm mã truy cập mà nút biên yêu cầu" "gửi kèm tiêu đề `authorization: Bearer <mã truy cập>` do nút biên cấp"
    IdentityTokenUnknown "identity.token_unknown" Caller AfterChange
        en "the access token is not one of this edge, or it was taken back" "ask the operator of the edge for a token"
        vi "mã truy cập không do nút biên này cấp hoặc đã bị thu hồi" "đề nghị đơn vị vận hành nút biên cấp mã truy cập"
    SenderUnknown "sender.unknown" Caller AfterChange
        en "the sending organisation is not registered, or another agency serves it" "ask the operator to register the organisation with this agency"
        vi "bên gửi chưa đăng ký hoặc thuộc cơ quan khác phục vụ" "đề nghị đơn vị vận hành trục đăng ký bên gửi với cơ quan này"
    RecipientUnknown "recipient.unknown" Caller AfterChange
        en "no organisation of the directory has the recipient's code" "look the code up in the directory"
        vi "mã định danh bên nhận không có trong danh mục" "tra cứu lại mã định danh trong danh mục"
    RecipientTwice "recipient.twice" Caller No
        en "a recipient is named twice" "name each recipient once"
        vi "một bên nhận được nêu hai lần" "chỉ nêu mỗi bên nhận một lần"
    RecipientCannotRead "recipient.cannot_read" Peer Later
        en "the recipient's edge does not read this predicate version yet" "wait until the recipient's edge reads this predicate version"
        vi "nút biên của bên nhận chưa đọc được phiên bản bản tin này" "gửi lại khi nút biên của bên nhận đã được nâng cấp"
    DocumentSecret "document.secret" Caller No
        en "the document bears a secrecy mark" "state secrets do not travel on this axis (Decision 28/2018 art. 1.2)"
        vi "văn bản có độ mật" "không gửi văn bản mật qua trục (khoản 2 Điều 1 Quyết định 28/2018/QĐ-TTg)"
    BusinessUnsupported "document.business_unsupported" Caller AfterChange
        en "this kind of business (recall, update, replacement) is not routed by this release" "this release routes new documents and replies only"
        vi "phiên bản này chưa xử lý nghiệp vụ thu hồi, cập nhật, thay thế văn bản" "chỉ gửi văn bản mới và văn bản phúc đáp"
    DocumentKindReserved "document.kind_reserved" Caller No
        en "the document type is that of the axis' own loopback message" "name another document type"
        vi "tên loại văn bản này dành riêng cho thông điệp tự kiểm tra của trục" "ghi tên loại văn bản khác"
    MessageIdConflict "message.id_conflict" Caller No
        en "the message id belongs to other bytes already" "mint a new id: this one belongs to other bytes"
        vi "mã bản tin đã được dùng cho nội dung khác" "tạo mã bản tin mới"
    MessageTooOld "message.too_old" Caller AfterChange
        en "the document was created before the time that the axis remembers" "create the document anew: it is older than the axis remembers"
        vi "văn bản được tạo quá lâu so với thời hạn trục còn lưu dấu" "tạo lại văn bản rồi gửi"
    MessageFromFuture "message.from_future" Caller AfterChange
        en "the time of creation lies ahead of the axis' clock" "set the clock: it is ahead of the axis"
        vi "thời điểm tạo văn bản đi trước đồng hồ của trục" "chỉnh lại đồng hồ máy chủ theo giờ của trục (khoản 4 Điều 14 Quyết định 28/2018/QĐ-TTg)"
    MessageUnknown "message.unknown" Caller No
        en "no message with this id is known here for the caller" "check the id: nothing with it is known here, or it is closed"
        vi "không có bản tin mang mã này dành cho bên gọi" "kiểm tra lại mã bản tin"
    ReferenceConflict "reference.conflict" Caller No
        en "the client reference belongs to another document already" "use a new client reference: this one belongs to another document"
        vi "mã tham chiếu của phần mềm quản lý văn bản đã dùng cho văn bản khác" "dùng mã tham chiếu mới"
    HandInPosition "hand_in.position" Caller AfterChange
        en "the hand-in is to go on after the bytes that are kept" "ask GetSendProgress where to go on, or begin anew without resume_from"
        vi "vị trí gửi tiếp nằm sau phần dữ liệu đã lưu" "gọi GetSendProgress để biết vị trí gửi tiếp, hoặc gửi lại từ đầu, không có resume_from"
    HandInSuperseded "hand_in.superseded" Caller No
        en "another call hands the same document in" "wait for the other call"
        vi "một lời gọi khác đang gửi cùng văn bản này" "chờ lời gọi kia hoàn thành"
    SequenceReused "sequence.reused" Caller No
        en "the sequence number was used for other bytes" "an edge was restored from an old copy: open a new edge term and seal anew"
        vi "số thứ tự gửi đã dùng cho nội dung khác" "nút biên đã bị khôi phục từ bản sao cũ: mở nhiệm kỳ mới rồi ký lại"
    SequenceOutsideWindow "sequence.outside_window" Caller AfterChange
        en "the sequence number is too far from the last ones" "seal anew with the next number"
        vi "số thứ tự gửi nằm ngoài khoảng cho phép" "ký lại với số thứ tự kế tiếp"
    TermNotOpen "term.not_open" Caller AfterChange
        en "the edge term of the statement was never opened" "open the edge term before sealing in it"
        vi "nhiệm kỳ nút biên nêu trong bản tin chưa được mở" "mở nhiệm kỳ nút biên trước khi ký"
    TermSuperseded "term.superseded" Caller No
        en "a later edge term of this agency is open" "another edge of this agency took over: stop this one"
        vi "một nút biên khác của cơ quan đã tiếp quản" "dừng nút biên này"
    TermConnected "term.connected" Caller Later
        en "the edge of the open term is still connected" "stop the edge that is connected, or have the operator force the takeover"
        vi "nút biên đang giữ nhiệm kỳ vẫn còn kết nối" "dừng nút biên đang kết nối hoặc đề nghị đơn vị vận hành trục cho tiếp quản"
    ReceiptNotRecipient "receipt.not_recipient" Caller No
        en "the receipt is for a delivery of another agency" "send receipts only for deliveries of this agency"
        vi "biên nhận nêu văn bản không gửi cho cơ quan này" "chỉ gửi biên nhận cho văn bản mà cơ quan được nhận"
    ReceiptOutOfOrder "receipt.out_of_order" Caller No
        en "the event does not follow from what was said before" "fetched comes first, then one of acknowledged and refused; an answer that was given stays"
        vi "trạng thái trong biên nhận không đúng trình tự" "báo đã đến (01) trước, sau đó đã tiếp nhận (03) hoặc từ chối (02); trạng thái đã báo không đổi lại được"
    ReceiptRepeated "receipt.repeated" Caller No
        en "the event is in the log already, in another receipt" "the event is in the log already: what was said first stands"
        vi "trạng thái này đã có trong nhật ký, ở một biên nhận khác" "không cần gửi lại: biên nhận ghi trước có hiệu lực"
    ReceiptDigestMismatch "receipt.digest_mismatch" Caller No
        en "the receipt names another digest than the delivered envelope has" "name the digest of the envelope that was delivered"
        vi "mã băm trong biên nhận khác với văn bản đã chuyển đến" "nêu đúng mã băm của văn bản đã chuyển đến"
    ReceiptMixedSenders "receipt.mixed_senders" Caller No
        en "the items of one receipt are for several senders" "put items of one original sender into one receipt"
        vi "một biên nhận gộp văn bản của nhiều bên gửi" "mỗi biên nhận chỉ gồm văn bản của một bên gửi"
    AttachmentMissing "attachment.missing" Caller AfterChange
        en "an attachment that the document names is not here" "upload the attachment completely before the envelope is submitted"
        vi "thiếu tệp đính kèm mà văn bản đã nêu" "tải lên đầy đủ tệp đính kèm trước khi gửi văn bản"
    AttachmentTruncated "attachment.truncated" Caller AfterChange
        en "fewer bytes of an attachment came than were declared" "send all bytes of the attachment that were declared"
        vi "tệp đính kèm gửi đến thiếu so với dung lượng đã khai" "gửi lại toàn bộ tệp đính kèm"
    AttachmentEmpty "attachment.empty" Caller No
        en "an attachment has no bytes" "leave the attachment out, or attach the file again"
        vi "tệp đính kèm rỗng" "bỏ tệp rỗng hoặc đính kèm lại tệp"
    AttachmentSizeMismatch "attachment.size_mismatch" Caller AfterChange
        en "an attachment has another size than was declared" "declare the size that was uploaded"
        vi "dung lượng tệp đính kèm khác với dung lượng đã khai" "khai đúng dung lượng của tệp"
    AttachmentDigestMismatch "attachment.digest_mismatch" Caller AfterChange
        en "the bytes of an attachment have another digest than was declared" "upload the bytes that the digest names"
        vi "mã băm của tệp đính kèm khác với mã băm đã khai" "tải lên đúng tệp ứng với mã băm"
    AttachmentTooLarge "attachment.too_large" Caller No
        en "an attachment, or all of them together, are larger than the axis takes" "keep attachments within the published limits"
        vi "tệp đính kèm vượt quá dung lượng cho phép" "giảm dung lượng tệp theo giới hạn đã công bố"
    AttachmentTooMany "attachment.too_many" Caller No
        en "the document has more attachments than the axis takes" "keep attachments within the published limits"
        vi "số tệp đính kèm vượt quá giới hạn" "giảm số tệp đính kèm theo giới hạn đã công bố"
    UploadTooMany "upload.too_many" Caller Later
        en "too many uploads of this agency are unfinished" "finish or wait for the uploads that are under way, then go on"
        vi "cơ quan có quá nhiều lượt tải lên còn dang dở" "hoàn tất hoặc chờ các lượt tải lên đang thực hiện rồi gửi tiếp"
    BlobUnknown "blob.unknown" Caller No
        en "no attachment with this digest is there for the caller" "ask only for attachments of documents that were sent to this agency"
        vi "không có tệp đính kèm mang mã băm này dành cho bên gọi" "chỉ yêu cầu tệp đính kèm của văn bản gửi đến cơ quan"
    BlobOffset "blob.offset" Caller AfterChange
        en "the offset is not where the upload stands or the attachment ends" "resume at the offset that the message names"
        vi "vị trí truyền tệp không khớp với phần đã nhận" "truyền tiếp từ vị trí nêu trong thông báo"
    BlobInUse "blob.in_use" Us Later
        en "the attachment is still in use" "wait until nobody uses the attachment any more, then delete it"
        vi "tệp đính kèm đang được sử dụng" "chờ đến khi tệp không còn được dùng rồi mới xóa"
    BlobStorage "blob.storage" Operator Later
        en "the attachments' folder cannot be read or written" "look at the disk of the attachments: space, permissions, health"
        vi "không đọc hoặc ghi được thư mục tệp đính kèm" "kiểm tra ổ đĩa chứa tệp đính kèm: dung lượng, quyền truy cập, tình trạng"
    EdxmlInvalid "edxml.invalid" Caller No
        en "the file is not edXML of QCVN 102:2016" "correct the place that the message names, as docs/spec/edxml.md lays it out"
        vi "gói tin không đúng định dạng edXML theo QCVN 102:2016/BTTTT" "sửa chỗ nêu trong thông báo theo docs/spec/edxml.md"
    EdxmlUnsupportedType "edxml.unsupported_type" Caller No
        en "the edXML message is of a kind that is not sent this way" "send documents here, and statuses with the call for statuses"
        vi "loại gói tin edXML này không gửi được bằng dịch vụ đang gọi" "gửi văn bản bằng dịch vụ gửi văn bản, gửi trạng thái bằng dịch vụ trạng thái"
    EdxmlDiffers "edxml.differs" Peer No
        en "the edXML file does not hold what the sealed envelope says" "ask the sender to send the document anew: its edge made a file and an envelope that differ"
        vi "tệp edXML không khớp với phong bì đã niêm phong" "đề nghị bên gửi gửi lại văn bản: tệp và phong bì do nút biên bên gửi tạo ra không khớp nhau"
    EdxmlUnreadable "edxml.unreadable" Peer No
        en "the recipient's edge cannot read the edXML file" "ask the sender to send the document anew, as an edXML file that the recipient's release reads"
        vi "nút biên của nơi nhận không đọc được tệp edXML" "đề nghị bên gửi gửi lại văn bản bằng tệp edXML mà nơi nhận đọc được"
    RequestInvalid "request.invalid" Caller No
        en "a field of the request is missing or makes no sense" "correct the field that the message names"
        vi "một trường của yêu cầu bị thiếu hoặc không hợp lệ" "sửa trường nêu trong thông báo"
    CursorUnknown "request.cursor_unknown" Caller No
        en "the cursor was not handed out by this edge" "resume from a cursor that this edge handed out, or from the start"
        vi "con trỏ đọc không do nút biên này cấp" "đọc tiếp từ con trỏ do nút biên cấp hoặc đọc lại từ đầu"
    FlowFlooding "flow.flooding" Caller Later
        en "the caller sends more than its share: of what it sent lately, too much was refused" "look at the reasons of the refusals before, correct what they name, then send again"
        vi "bên gọi gửi quá nhiều nội dung bị từ chối trong thời gian ngắn" "xem lý do của các lần từ chối trước, sửa nội dung rồi gửi lại"
    FlowStalled "flow.stalled" Caller Later
        en "the caller went silent or stopped reading in the middle of a call" "keep sending and reading while a call is open, then call again"
        vi "bên gọi ngừng gửi hoặc ngừng đọc giữa chừng" "kiểm tra đường truyền rồi gọi lại; gửi và đọc liên tục khi lời gọi đang mở"
    BusyViews "busy.views" Us Later
        en "the views lag behind the journal" "wait and try again: the views catch up with the journal"
        vi "dữ liệu tra cứu chưa theo kịp nhật ký" "chờ ít phút rồi gửi lại"
    BusyQueues "busy.queues" Us Later
        en "the axis holds as many undelivered documents as it may" "wait and try again: recipients have to fetch and answer what waits; tell the operator if it lasts"
        vi "trục đang giữ số văn bản chưa phát xong tối đa cho phép" "chờ rồi gửi lại: bên nhận phải lấy và phản hồi văn bản đang chờ; báo đơn vị vận hành nếu kéo dài"
    OutcomeUnknown "outcome.unknown" Us Later
        en "the process stopped before it could say what became of the statement" "submit the same bytes again: they are accepted once whatever happened"
        vi "hệ thống dừng trước khi kịp trả lời kết quả" "gửi lại đúng nội dung cũ: văn bản chỉ được tiếp nhận một lần"
    ShuttingDown "process.shutting_down" Operator Later
        en "the process is stopping" "connect again in a moment"
        vi "hệ thống đang dừng để bảo trì" "kết nối lại sau ít phút"
    Descriptors "process.descriptors" Operator Later
        en "the process may not open any more files or connections" "raise the limit of open files (LimitNOFILE, ulimit -n) and look for clients that hold connections"
        vi "tiến trình đã hết số tệp và kết nối được phép mở" "nâng giới hạn số tệp mở (LimitNOFILE, ulimit -n) và kiểm tra các máy giữ nhiều kết nối"
    ClockSteppedBack "clock.stepped_back" Operator Later
        en "the clock of the machine stepped back" "set the clock right and keep it synchronised; acceptance goes on when it has caught up"
        vi "đồng hồ máy chủ bị lùi lại" "chỉnh và đồng bộ đồng hồ; việc tiếp nhận tiếp tục khi giờ đã khớp"
    ClockJumped "clock.jumped" Operator Later
        en "the clock of the machine jumped, or is far from the axis'" "look at the time synchronisation of this machine"
        vi "đồng hồ máy chủ bị nhảy hoặc lệch xa giờ của trục" "kiểm tra việc đồng bộ thời gian của máy chủ"
    CertificateEnded "certificate.ended" Operator AfterChange
        en "a certificate of the process is not valid at this time" "renew the certificate that the message names and start or reload the process"
        vi "chứng thư số của hệ thống chưa có hoặc đã hết hiệu lực" "gia hạn chứng thư số nêu trong thông báo rồi khởi động hoặc nạp lại"
    SequencerStopped "sequencer.stopped" Us Later
        en "commands do not come through the broker's sequencer and committer" "look at the disk of the journal and at the log; end the process if it stays"
        vi "bộ xử lý tuần tự của trục không phản hồi" "kiểm tra ổ đĩa chứa nhật ký và nhật ký vận hành; dừng tiến trình nếu tình trạng kéo dài"
    LoopbackFailed "loopback.failed" Operator Later
        en "the axis' own signed message did not come back" "look at the hop that the message names, then at the log of the broker"
        vi "thông điệp tự kiểm tra của trục không quay về" "kiểm tra chặng nêu trong thông báo rồi xem nhật ký của trục"
    BrokerAway "broker.away" Operator Later
        en "the broker does not answer" "the edge keeps the document and goes on trying"
        vi "không liên lạc được với trục" "không phải gửi lại: nút biên giữ văn bản và tiếp tục gửi"
    DiskFull "disk.full" Operator Later
        en "the disk is full, or down to its reserve" "free space on the disk or enlarge it; nothing that was acknowledged is lost"
        vi "ổ đĩa đã đầy hoặc chỉ còn phần dự phòng" "giải phóng hoặc mở rộng ổ đĩa; văn bản đã xác nhận không bị mất"
    FileUnusable "file.unusable" Operator AfterChange
        en "a file or folder of the process cannot be read or written" "look at the path that the message names: whether it is there, its owner, permissions and disk"
        vi "không đọc hoặc ghi được tệp hay thư mục của hệ thống" "kiểm tra đường dẫn nêu trong thông báo: sự tồn tại, chủ sở hữu, quyền truy cập và ổ đĩa"
    JournalTruncated "journal.truncated" Operator No
        en "the journal is shorter than its synced high-water mark says" "restore the journal from a backup or recover on a new log origin; nothing was overwritten"
        vi "nhật ký ngắn hơn mốc đã ghi bền vững" "khôi phục nhật ký từ bản sao lưu hoặc mở nhật ký mới; dữ liệu cũ không bị ghi đè"
    JournalCorrupt "journal.corrupt" Operator No
        en "a block of the journal is damaged" "restore the journal from a backup or recover on a new log origin; nothing was overwritten"
        vi "một khối của nhật ký bị hỏng" "khôi phục nhật ký từ bản sao lưu hoặc mở nhật ký mới; dữ liệu cũ không bị ghi đè"
    JournalFormat "journal.format" Operator No
        en "the journal has a format that this release does not read" "run the release that wrote this journal"
        vi "phiên bản này không đọc được định dạng nhật ký" "chạy phiên bản phần mềm đã ghi nhật ký này"
    JournalLocked "journal.locked" Operator AfterChange
        en "another process uses the data folder" "stop the other process that uses this folder"
        vi "một tiến trình khác đang dùng thư mục dữ liệu" "dừng tiến trình đang dùng thư mục này"
    JournalStorage "journal.storage" Operator AfterChange
        en "the disk did not read or write the journal" "look at the disk: space, permissions, health; then start again"
        vi "không đọc hoặc ghi được nhật ký trên ổ đĩa" "kiểm tra ổ đĩa: dung lượng, quyền truy cập, tình trạng; sau đó khởi động lại"
    ViewAhead "view.ahead" Operator No
        en "the views know more than the journal holds" "the journal lost its tail: restore it; do not delete the views before that is understood"
        vi "dữ liệu tra cứu mới hơn nhật ký: nhật ký đã mất phần cuối" "khôi phục nhật ký; chưa xóa dữ liệu tra cứu khi chưa rõ nguyên nhân"
    LogFork "log.fork" Peer No
        en "the axis shows two histories, or takes back what it showed" "stop and call the auditors: the axis shows two histories"
        vi "trục đưa ra hai lịch sử khác nhau" "dừng giao dịch và báo đơn vị kiểm tra, giám sát"
    LogProofInvalid "log.proof_invalid" Peer No
        en "a proof or checkpoint of the axis does not hold" "keep the bytes and call the auditors: the axis' proof does not hold"
        vi "chứng cứ của trục không kiểm chứng được" "giữ nguyên dữ liệu và báo đơn vị kiểm tra, giám sát"
    WatchFolder "watch.folder" Operator Later
        en "the watch folder or a file in it cannot be read or written" "look at the watch folder: permissions, space, health of its disk; the edge goes on trying"
        vi "không đọc hoặc ghi được thư mục trao đổi tệp" "kiểm tra thư mục trao đổi tệp: quyền truy cập, dung lượng, tình trạng ổ đĩa; nút biên vẫn tiếp tục thử"
    ConfigInvalid "config.invalid" Operator AfterChange
        en "a setting, file or address is wrong" "correct the setting, file or address that the message names"
        vi "thiết lập, tệp hoặc địa chỉ không đúng" "sửa thiết lập, tệp hoặc địa chỉ nêu trong thông báo"
    BackupDamaged "backup.damaged" Operator No
        en "the backup is not what was written" "use another backup: this one is not what was written, the message names the file"
        vi "bản sao lưu không còn nguyên vẹn" "dùng bản sao lưu khác; thông báo nêu tệp bị hỏng"
    BackupForeign "backup.foreign" Operator AfterChange
        en "the folder holds something else, or the backup of another history" "name another folder: this one holds something else, or the backup of another history"
        vi "thư mục chứa dữ liệu khác hoặc bản sao lưu của một lịch sử khác" "chọn thư mục khác"
    OperatorOnly "identity.operator_only" Caller No
        en "the service is for the operator of the axis only" "connect with the operator's client certificate: this service is for the operator of the axis"
        vi "dịch vụ này chỉ dành cho đơn vị vận hành trục" "kết nối bằng chứng thư số của đơn vị vận hành trục"
    RegistryVersion "registry.version" Operator AfterChange
        en "the registry statement does not make the next version of the registry" "seal the change again under the version that is expected"
        vi "bản tin sổ đăng ký không tạo ra phiên bản kế tiếp của sổ đăng ký" "ký lại thay đổi với đúng số phiên bản kế tiếp"
    RegistryContradiction "registry.contradiction" Operator AfterChange
        en "the registry statement contradicts the registry or the authority of the axis" "correct the change as the message says and seal it again"
        vi "bản tin sổ đăng ký mâu thuẫn với sổ đăng ký hoặc với cơ quan cấp chứng thư số của trục" "sửa thay đổi theo thông báo rồi ký lại"
    KeyUnreadable "key.unreadable" Operator AfterChange
        en "a key or certificate file cannot be used" "check the key file and its password"
        vi "không dùng được tệp khóa hoặc chứng thư số" "kiểm tra tệp khóa và mật khẩu của tệp"
}

impl Reason {
    /// The reason of a failure that the operating system reported: the causes that an operator mends in their own way have their own
    /// reasons, whatever was being done; all others are `otherwise`.
    #[must_use]
    pub fn of_system(failure: &std::io::Error, otherwise: Self) -> Self {
        use std::io::ErrorKind;
        /// ENFILE and EMFILE, which have no kind of their own; the numbers are those of every Unix.
        const DESCRIPTORS: [i32; 2] = [23, 24];
        match failure.kind() {
            // A limit on the size of files stops a process as a full disk does.
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Self::DiskFull,
            _ if failure.raw_os_error().is_some_and(|number| DESCRIPTORS.contains(&number)) => Self::Descriptors,
            _ => otherwise,
        }
    }

    /// The reason as `GROUP_NAME`, for `google.rpc.ErrorInfo`.
    #[must_use]
    pub fn error_info(self) -> String {
        self.code().replace('.', "_").to_ascii_uppercase()
    }
}

/// A text that is no reason of this release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no reason is called {0:?}")]
pub struct UnknownReason(pub String);

impl FromStr for Reason {
    type Err = UnknownReason;
    /// Reads either spelling.
    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.code() == text || reason.error_info() == text)
            .ok_or_else(|| UnknownReason(text.chars().take(60).collect()))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_one_spelling_per_interface_and_reads_back() {
        let mut seen = std::collections::HashSet::new();
        for reason in Reason::ALL {
            assert!(seen.insert(reason.error_info()), "{reason} twice");
            assert_eq!(reason.code().parse(), Ok(*reason));
            assert_eq!(reason.error_info().parse(), Ok(*reason));
            assert!(reason.code().split_once('.').is_some_and(|(group, name)| !group.is_empty() && !name.is_empty()));
        }
    }

    #[test]
    fn what_the_system_says_of_a_failure_decides_before_what_was_being_done() {
        let reason = |number| Reason::of_system(&std::io::Error::from_raw_os_error(number), Reason::BlobStorage);
        let (enospc, edquot, efbig, emfile, enfile, eio) = (28, 122, 27, 24, 23, 5);
        assert_eq!([enospc, edquot, efbig].map(reason), [Reason::DiskFull; 3]);
        assert_eq!([emfile, enfile].map(reason), [Reason::Descriptors; 2]);
        assert_eq!(reason(eio), Reason::BlobStorage);
    }

    #[test]
    fn every_reason_is_explained_in_both_languages() {
        for reason in Reason::ALL {
            for english in [reason.meaning(), reason.advice()] {
                assert!(!english.is_empty() && !english.ends_with('.'), "{reason}: {english}");
                assert!(english.is_ascii(), "{reason}: {english}");
            }
            for vietnamese in [reason.meaning_vi(), reason.advice_vi()] {
                assert!(!vietnamese.ends_with('.'), "{reason}: {vietnamese}");
                assert!(!vietnamese.is_ascii(), "{reason} is not Vietnamese: {vietnamese}");
            }
        }
    }
}
