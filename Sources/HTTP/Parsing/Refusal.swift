/// Why a request cannot be served and the connection must end: where one message ends and the next begins is in doubt,
/// or the client takes more than its share.
struct Refusal: Equatable {
    let status: Int
    /// A sentence for the sender.
    let detail: StaticString

    static func malformed(_ detail: StaticString) -> Refusal { Refusal(status: 400, detail: detail) }

    static let headTooLarge = Refusal(status: 431, detail: "The request line and header fields are too large.")
    static let tooManyFields = Refusal(status: 431, detail: "The request has too many header fields.")
    static let bodyTooLarge = Refusal(status: 413, detail: "The request body is larger than this route takes.")
    static let headTimeout = Refusal(status: 408, detail: "The request head did not arrive in time.")
    static let bodyTimeout = Refusal(status: 408, detail: "The request body did not arrive in time.")
    static let tooManyBodies = Refusal(status: 503, detail: "The server is busy with too many large bodies.")
    static let tooManyConnections = Refusal(status: 503, detail: "The server has no connection to spare.")

    static func == (left: Refusal, right: Refusal) -> Bool {
        left.status == right.status && left.detail.utf8Start == right.detail.utf8Start
    }
}
