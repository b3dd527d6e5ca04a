/// A Lua script. Its identity is the object: keep one per script and process.
public final class Script: Sendable {
    public let name: String
    public let source: [UInt8]

    public init(name: String, source: [UInt8]) {
        self.name = name
        self.source = source
    }
}
