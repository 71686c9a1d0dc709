//! The table of rules: every diagnostic names one. Codes are stable, sentences may change. It is not the place of the checks themselves.

/// Whether a message with this diagnostic can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The message is refused.
    Error,
    /// The message is read; its writer should be told.
    Warning,
}

macro_rules! rules {
    ($($variant:ident $code:literal $severity:ident $english:literal $vietnamese:literal)*) => {
        /// A rule of the reader, see `docs/spec/edxml.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Rule {
            $(
                #[doc = concat!("`", $code, "`: ", $english, ".")]
                $variant,
            )*
        }

        impl Rule {
            /// Every rule, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable code: `edxml.` and a name.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// Whether breaking it refuses the message.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// What is wrong, in English, without a full stop.
            #[must_use]
            pub const fn english(self) -> &'static str {
                match self { $(Self::$variant => $english,)* }
            }

            /// What is wrong, in Vietnamese, without a full stop.
            #[must_use]
            pub const fn vietnamese(self) -> &'static str {
                match self { $(Self::$variant => $vietnamese,)* }
            }
        }
    };
}

rules! {
    NotWellFormed "edxml.not_well_formed" Error "the XML is not well-formed" "XML không đúng cú pháp"
    Truncated "edxml.truncated" Error "the file ends before its elements are closed: it was cut off or not written to its end, so put the whole file again" "tệp kết thúc khi các phần tử chưa đóng: tệp bị cắt cụt hoặc chưa ghi xong, hãy đưa lại tệp đầy đủ"
    Encoding "edxml.encoding" Error "the encoding is not UTF-8" "bảng mã không phải UTF-8"
    ControlCharacter "edxml.control_character" Error "XML does not allow this control character" "XML không cho phép ký tự điều khiển này"
    Doctype "edxml.doctype" Error "a DOCTYPE is refused" "không chấp nhận khai báo DOCTYPE"
    Entity "edxml.entity" Error "this entity is refused" "không chấp nhận thực thể này"
    Root "edxml.root" Error "the root element is not edXML of QCVN 102:2016" "phần tử gốc không phải edXML theo QCVN 102:2016"
    FormerDialect "edxml.former_dialect" Error "a SOAP envelope of the dialects before QCVN 102:2016 is not read" "không đọc được gói tin SOAP theo các phương ngữ trước QCVN 102:2016"
    TwoRoots "edxml.two_roots" Error "something follows the root element" "còn nội dung sau phần tử gốc"
    MessageTooLarge "edxml.message_too_large" Error "the message is too large" "gói tin quá lớn"
    TokenTooLong "edxml.token_too_long" Error "a tag, comment or text is too long" "thẻ, chú thích hoặc văn bản quá dài"
    HeaderTooLarge "edxml.header_too_large" Error "the texts outside attachments are too long together" "tổng phần văn bản ngoài tệp đính kèm quá lớn"
    TooDeep "edxml.too_deep" Error "elements are nested too deeply" "các phần tử lồng nhau quá sâu"
    TooManyElements "edxml.elements_too_many" Error "there are too many elements" "quá nhiều phần tử"
    TooManyAttributes "edxml.attributes_too_many" Error "an element has too many attributes" "phần tử có quá nhiều thuộc tính"
    TooManyAttachments "edxml.attachments_too_many" Error "there are too many attachments" "quá nhiều tệp đính kèm"
    NamespaceMissing "edxml.namespace_missing" Warning "the namespace of QCVN 102:2016 is missing" "thiếu không gian tên của QCVN 102:2016"
    ElementUnknown "edxml.element_unknown" Warning "this element is not known here and was ignored" "phần tử không xác định, đã bỏ qua"
    ElementRepeated "edxml.element_repeated" Error "this element may stand here only once" "phần tử này chỉ được xuất hiện một lần"
    ElementMisplaced "edxml.element_misplaced" Error "an element stands where only text may stand" "phần tử nằm ở nơi chỉ được chứa văn bản"
    BusinessMisplaced "edxml.business_misplaced" Error "the business block stands outside TraceHeaderList, so nobody can say whether this is a recall or a new document" "khối nghiệp vụ nằm ngoài TraceHeaderList nên không thể biết đây là văn bản mới hay thu hồi"
    BusinessSpelling "edxml.business_spelling" Warning "the name of this element is written with another spelling on the wire" "tên phần tử không đúng cách viết trên đường truyền"
    NullText "edxml.null_text" Warning "a word for nothing was read as an empty element" "giá trị thay cho rỗng được hiểu là phần tử trống"
    Missing "edxml.missing" Error "a required element is missing or empty" "thiếu hoặc để trống phần tử bắt buộc"
    MissingRecommended "edxml.missing_recommended" Warning "an element that the law asks for is missing or empty" "thiếu hoặc để trống phần tử mà quy định yêu cầu"
    TextTooLong "edxml.text_too_long" Error "the text is too long" "văn bản quá dài"
    ListTooLong "edxml.list_too_long" Error "the list is too long" "danh sách quá dài"
    CodeInvalid "edxml.code_invalid" Error "this is not the code of an organisation" "không phải mã định danh cơ quan, tổ chức"
    RecipientTwice "edxml.recipient_twice" Error "a recipient is named twice" "nơi nhận bị lặp lại"
    DateSpelling "edxml.date_spelling" Warning "the date is clear but not written as the format has it" "ngày hiểu được nhưng viết sai định dạng"
    DateAmbiguous "edxml.date_ambiguous" Error "day and month of this date cannot be told apart" "không phân biệt được ngày và tháng"
    DateInvalid "edxml.date_invalid" Error "this is not a date" "không phải là ngày hợp lệ"
    DateImplausible "edxml.date_implausible" Warning "the date is not plausible" "ngày không hợp lý"
    BooleanInvalid "edxml.boolean_invalid" Warning "this is neither true nor false and was ignored" "không phải true hoặc false, đã bỏ qua"
    StatusCodeInvalid "edxml.status_code_invalid" Error "this is not a status code" "không phải mã trạng thái hợp lệ"
    StatusCodeSpelling "edxml.status_code_spelling" Warning "a status code has two digits" "mã trạng thái phải có hai chữ số"
    StatusCodeUnknown "edxml.status_code_unknown" Warning "no public source explains this status code" "mã trạng thái này không có trong tài liệu công khai"
    AnswerSwapped "edxml.answer_swapped" Warning "OrganId and Code stand in each other's place and were exchanged" "OrganId và Code bị đặt nhầm chỗ, đã hoán đổi lại"
    ReceiverType "edxml.receiver_type" Error "this does not say whether a receiver is added or removed" "không cho biết nơi nhận được thêm hay bớt"
    TimeInvalid "edxml.time_invalid" Warning "this is not a time and was ignored" "không phải thời điểm hợp lệ, đã bỏ qua"
    PriorityInvalid "edxml.priority_invalid" Error "this is not a level of urgency" "không phải mức độ khẩn hợp lệ"
    NumberInvalid "edxml.number_invalid" Warning "this is not a whole number and was ignored" "không phải số nguyên, đã bỏ qua"
    BusinessMissing "edxml.business_missing" Warning "the business block is missing: read as a new document" "thiếu khối nghiệp vụ: hiểu là văn bản mới"
    BusinessKind "edxml.business_kind" Error "this is not a kind of business" "không phải loại nghiệp vụ hợp lệ"
    NameSeparator "edxml.name_separator" Warning "the name of an attachment looks like a path; it is only displayed" "tên tệp giống đường dẫn; chỉ dùng để hiển thị"
    NameTraversal "edxml.name_traversal" Error "the name of an attachment leads out of a folder" "tên tệp đính kèm trỏ ra ngoài thư mục"
    MediaType "edxml.media_type" Warning "this is not a media type and was ignored" "không phải kiểu nội dung hợp lệ, đã bỏ qua"
    NoAttachment "edxml.no_attachment" Warning "a document without an attachment" "văn bản không có tệp đính kèm"
    AttachmentIgnored "edxml.attachment_ignored" Warning "a status packet carries no attachments; they were ignored" "gói tin trạng thái không mang tệp đính kèm; đã bỏ qua"
    ContentIdTwice "edxml.content_id_twice" Error "two attachments have the same ContentId" "hai tệp đính kèm trùng ContentId"
    ReferenceWithoutAttachment "edxml.reference_without_attachment" Error "the manifest names an attachment that is not there" "danh mục nêu tệp đính kèm không có trong gói tin"
    AttachmentWithoutReference "edxml.attachment_without_reference" Warning "the manifest does not name this attachment" "danh mục không nêu tệp đính kèm này"
    ManifestMismatch "edxml.manifest_mismatch" Warning "manifest and attachment differ; the attachment's own value was used" "danh mục và tệp đính kèm khác nhau; đã dùng giá trị của tệp đính kèm"
    AttachmentTooLarge "edxml.attachment_too_large" Error "the attachment is too large" "tệp đính kèm quá lớn"
    Base64Character "edxml.base64_character" Error "a character outside the base64 alphabet" "ký tự ngoài bảng chữ cái base64"
    Base64Padding "edxml.base64_padding" Error "the base64 padding is wrong" "phần đệm base64 sai"
    Base64Truncated "edxml.base64_truncated" Error "the base64 text ends in the middle of a group" "chuỗi base64 bị cắt cụt"
    ZipUndecided "edxml.zip_undecided" Error "an archive comes before the elements that say whether to unpack it" "tệp nén đứng trước các phần tử cho biết có giải nén hay không"
    ZipNotZip "edxml.zip_not_zip" Warning "declared as an archive but is none; taken as it is" "khai báo là tệp nén nhưng không phải; giữ nguyên nội dung"
    ZipUndeclared "edxml.zip_undeclared" Warning "the content is an archive but is not declared as one; taken as it is" "nội dung là tệp nén nhưng không khai báo; giữ nguyên nội dung"
    ZipEmpty "edxml.zip_empty" Error "the archive has no entry" "tệp nén không có mục nào"
    ZipSecondEntry "edxml.zip_second_entry" Warning "the archive has more than one entry; only the first was taken" "tệp nén có nhiều mục; chỉ lấy mục đầu tiên"
    ZipEntryName "edxml.zip_entry_name" Warning "the name inside the archive leads out of a folder; it was not used" "tên trong tệp nén trỏ ra ngoài thư mục; không được sử dụng"
    ZipUnsupported "edxml.zip_unsupported" Error "this kind of archive is not read" "không đọc được dạng tệp nén này"
    ZipCorrupt "edxml.zip_corrupt" Error "the archive is damaged" "tệp nén bị hỏng"
    ZipTruncated "edxml.zip_truncated" Error "the archive ends too early" "tệp nén bị cắt cụt"
    ZipChecksum "edxml.zip_checksum" Error "size or checksum of the unpacked attachment is wrong" "kích thước hoặc mã kiểm tra của tệp sau giải nén không khớp"
    ZipExpansion "edxml.zip_expansion" Error "the archive expands too far" "tệp nén giãn nở quá mức cho phép"
}
