import Synchronization

/// A Lua script. Its identity is the object: keep one per script and process.
public final class Script: Sendable {
    public let name: String
    public let source: [UInt8]
    /// Counts the scripts of the process from 0, for tables with a place per script.
    let number: Int

    private static let count = Atomic<Int>(0)

    public init(name: String, source: [UInt8]) {
        self.name = name
        self.source = source
        number = Script.count.wrappingAdd(1, ordering: .relaxed).oldValue
    }
}
