import Bytes
import JSON

/// Problem documents (RFC 9457) with one member more, `error`, which repeats `detail` for users of the source's API.
enum ProblemBody {
    static let contentType: StaticString = "application/problem+json"

    /// Writes the members that every problem has. The object stays open: the caller may add its own, then closes it.
    static func begin(_ json: inout JSONWriter, status: Int, detail: ByteView) {
        json.beginObject()
        json.field("type", "about:blank")
        json.field("title", Status.reason(status))
        json.field("status", status)
        json.field("detail", detail)
        json.field("error", detail)
    }
}

extension Exchange {
    /// Answers with a problem document.
    /// - Parameters:
    ///   - detail: a sentence for the sender of the request; it shows no internals.
    ///   - fields: header fields to add.
    ///   - members: members to add to the document.
    public func replyProblem(
        _ status: Int, detail: String, fields: (Exchange) -> Void = { _ in },
        members: (inout JSONWriter) -> Void = { _ in }
    ) {
        beginReply(status)
        fields(self)
        finishReply(contentType: ProblemBody.contentType) { buffer in
            var json = JSONWriter(buffer)
            detail.withByteView { ProblemBody.begin(&json, status: status, detail: $0) }
            members(&json)
            json.endObject()
        }
    }
}
