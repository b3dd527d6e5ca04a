import Bytes

/// Where the name and value of one header field lie, counted from the start of the head.
struct HeaderField {
    var nameStart: UInt16
    var nameCount: UInt16
    var valueStart: UInt16
    var valueCount: UInt16
}

/// The header fields of one request, in order. The table is reused, so a request allocates nothing for it.
final class HeaderFields {
    private let fields: UnsafeMutablePointer<HeaderField>
    let capacity: Int
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = capacity
        fields = .allocate(capacity: max(capacity, 1))
    }

    deinit { fields.deallocate() }

    subscript(index: Int) -> HeaderField {
        assert(index >= 0 && index < count)
        return fields[index]
    }

    func removeAll() { count = 0 }

    /// False when the table is full.
    @inline(__always)
    func append(_ field: HeaderField) -> Bool {
        guard count < capacity else { return false }
        (fields + count).initialize(to: field)
        count &+= 1
        return true
    }

    /// The first value whose name, whatever its case, is `lowercased`.
    /// - Parameter head: the bytes the table was filled from.
    func first(_ lowercased: StaticString, in head: UnsafePointer<UInt8>) -> ByteView? {
        let length = lowercased.utf8CodeUnitCount
        for i in 0..<count where Int(fields[i].nameCount) == length {
            let field = fields[i]
            if ByteView(base: head + Int(field.nameStart), count: length).equalsIgnoringCase(lowercased) {
                return ByteView(base: head + Int(field.valueStart), count: Int(field.valueCount))
            }
        }
        return nil
    }

    /// All values whose name, whatever its case, is `lowercased`, in order.
    func forEach(_ lowercased: ByteView, in head: UnsafePointer<UInt8>, _ body: (ByteView) -> Void) {
        let length = lowercased.count
        for i in 0..<count where Int(fields[i].nameCount) == length {
            let field = fields[i]
            if ByteView(base: head + Int(field.nameStart), count: length).equalsIgnoringCase(lowercased) {
                body(ByteView(base: head + Int(field.valueStart), count: Int(field.valueCount)))
            }
        }
    }
}
