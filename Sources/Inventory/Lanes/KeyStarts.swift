import Bytes

/// The beginnings of a SKU's keys, as bytes that stay where they are.
final class KeyStarts {
    private let bytes = ByteBuffer(capacity: 128)
    private var ends: [Int] = []

    init(prefix: String) {
        for word in ["stock:", "reservation:", "expiry:", "ledger:"] {
            bytes.append(prefix)
            bytes.append(word)
            ends.append(bytes.count)
        }
    }

    var stock: ByteView { bytes.view.slice(0, ends[0]) }
    var reservation: ByteView { bytes.view.slice(ends[0], ends[1]) }
    var expiry: ByteView { bytes.view.slice(ends[1], ends[2]) }
    var ledger: ByteView { bytes.view.slice(ends[2], ends[3]) }
}
