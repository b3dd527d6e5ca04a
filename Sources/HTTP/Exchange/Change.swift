/// What a request has changed: its name and, where it has them, its versions before and after.
public struct Change: Sendable, Equatable {
    public var subject: String
    public var before: Int?
    public var after: Int?

    public init(_ subject: String, before: Int? = nil, after: Int? = nil) {
        self.subject = subject
        self.before = before
        self.after = after
    }
}
