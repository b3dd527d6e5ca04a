import Bytes
import EventLoops
import HTTP
import JSON

extension Exchange {
    /// The request's body as one JSON value.
    public func jsonBody() throws -> JSONValue {
        try requireJSON()
        guard !body.isEmpty else { throw Problem(.invalidRequest, "the request needs a JSON body") }
        return try JSONValue(parsing: body)
    }

    /// The same for routes that take large bodies: those are parsed on another thread, so that the loop goes on meanwhile.
    /// Where much is made of the value, give the making to the other form of this function.
    public func jsonBodyOffLoop() async throws -> JSONValue { try await jsonBodyOffLoop { $0 } }

    /// What `make` makes of the request's JSON body. A large body is parsed and made something of on another thread, and the
    /// tree is freed there, too. `make` must not touch anything that is confined to the loop.
    public func jsonBodyOffLoop<Made: Sendable>(
        _ make: @escaping @Sendable (JSONValue) throws -> Made
    ) async throws -> Made {
        guard body.count > Exchange.mostBytesParsedOnLoop else { return try make(jsonBody()) }
        try requireJSON()
        return try await bodyOffLoop { try make(JSONValue(parsing: $0)) }
    }

    /// What `make` makes of the bytes of the request's body: of many of them on another thread.
    func bodyOffLoop<Made: Sendable>(_ make: @escaping @Sendable (ByteView) throws -> Made) async throws -> Made {
        guard body.count > Exchange.mostBytesParsedOnLoop else { return try make(body) }
        // The bytes stay where they are until the request is answered, which is after this returns.
        let text = SteadyBytes(view: body)
        let made: Result<Made, any Error> = await BlockingPool.computing.run { Result { try make(text.view) } }
        return try made.get()
    }

    /// A body of this size is parsed within a millisecond.
    private static var mostBytesParsedOnLoop: Int { 16384 }

    private struct SteadyBytes: @unchecked Sendable {
        // Unchecked because nothing writes to a request's bytes before it is answered.
        let view: ByteView
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
