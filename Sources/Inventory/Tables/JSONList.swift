import Bytes
import EventLoops
import HTTP
import JSON

/// A JSON array as it comes to be, value by value, so that a long one is written in slices of a loop's time and ends at a
/// size.
final class JSONList {
    /// An answer ends behind the value that takes it above this.
    static let mostBytes = 1 << 20

    private let buffer = ByteBuffer()
    private var isEnded = false
    private(set) var count = 0

    var isFull: Bool { buffer.count > JSONList.mostBytes }

    func append(_ value: JSONValue) {
        buffer.append(count == 0 ? UInt8(ascii: "[") : UInt8(ascii: ","))
        value.write(to: buffer)
        count += 1
    }

    /// The whole array, which nothing is appended to any more.
    func end() -> ByteView {
        if !isEnded { buffer.append(count == 0 ? "[]" : "]") }
        isEnded = true
        return buffer.view
    }
}
