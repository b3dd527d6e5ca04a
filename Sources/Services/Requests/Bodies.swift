import Bytes
import HTTP
import JSON

extension Exchange {
    /// The request's body as one JSON value.
    public func jsonBody() throws -> JSONValue {
        try requireJSON()
        guard !body.isEmpty else { throw Problem(.invalidRequest, "the request needs a JSON body") }
        return try JSONValue(parsing: body)
    }

    /// Refuses a body that is announced as something other than JSON.
    public func requireJSON() throws(Problem) {
        guard let type = header("content-type") else { return }
        let media = type.slice(0, type.firstIndex(of: UInt8(ascii: ";")) ?? type.count).trimmed
        let isJSON =
            media.equalsIgnoringCase("application/json")
            // What curl sends with -d when nobody says otherwise; refusing it helps no one.
            || media.equalsIgnoringCase("application/x-www-form-urlencoded")
            || (media.count > 5 && media.slice(media.count - 5, media.count).equalsIgnoringCase("+json"))
        if !isJSON { throw Problem(.unsupportedMediaType, "the body must be application/json") }
    }

    /// Answers with a JSON document.
    public func reply(_ status: Int, json value: JSONValue) {
        beginReply(status)
        finishReply(contentType: "application/json") { value.write(to: $0) }
    }
}
