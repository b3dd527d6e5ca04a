import Bytes
import Redis

/// The commands of one transaction, encoded as they are decided. Redis answers each of them once.
final class CommitCommands {
    let writer = RESPWriter()
    private var ends: [Int] = []
    private let scratch = ByteBuffer(capacity: 64)

    var count: Int { ends.count }

    func removeAll() {
        writer.removeAll()
        ends.removeAll(keepingCapacity: true)
    }

    func command(at index: Int) -> ByteView { writer.view.slice(index == 0 ? 0 : ends[index - 1], ends[index]) }

    /// The key of a command: its second word.
    func key(at index: Int) -> ByteView {
        var rest = command(at: index)
        func line() -> ByteView {
            let end = rest.firstIndex(of: 0x0D) ?? rest.count
            defer { rest = rest.dropFirst(min(end + 2, rest.count)) }
            return rest.slice(0, end)
        }
        // `*5`, `$4`, `ZADD`, `$12`, the key.
        for _ in 0..<4 { _ = line() }
        return line()
    }

    /// What was begun with `writer.command` is whole.
    func end() { ends.append(writer.view.count) }

    /// A command of nothing but words.
    func add(_ words: StaticString...) {
        writer.command(words.count)
        for word in words { writer.argument(word) }
        end()
    }

    /// A key of a SKU.
    func key(_ start: ByteView, _ sku: SKU, _ rest: String? = nil) {
        scratch.removeAll()
        scratch.append(start)
        scratch.append(UInt8(ascii: "{"))
        scratch.append(sku.code)
        scratch.append(UInt8(ascii: "}"))
        if let rest {
            scratch.append(UInt8(ascii: ":"))
            scratch.append(rest)
        }
        writer.argument(scratch.view)
    }

    /// `1,-2,0`.
    func numbers(_ a: Int, _ b: Int, _ c: Int) {
        scratch.removeAll()
        scratch.append(decimal: a)
        scratch.append(UInt8(ascii: ","))
        scratch.append(decimal: b)
        scratch.append(UInt8(ascii: ","))
        scratch.append(decimal: c)
        writer.argument(scratch.view)
    }

    /// `warehouse-1:3`.
    func part(_ warehouse: String, _ quantity: Int) {
        scratch.removeAll()
        scratch.append(warehouse)
        scratch.append(UInt8(ascii: ":"))
        scratch.append(decimal: quantity)
        writer.argument(scratch.view)
    }

    /// `warehouse-1:quantity`.
    func field(_ warehouse: String, _ counter: StaticString) {
        scratch.removeAll()
        scratch.append(warehouse)
        scratch.append(UInt8(ascii: ":"))
        scratch.append(counter)
        writer.argument(scratch.view)
    }

    /// The id of a ledger entry: Redis's own, or one at a given time.
    func entryID(_ givenNowMs: Int?) {
        guard let givenNowMs else { return writer.argument("*" as StaticString) }
        writer.argument("\(givenNowMs)-*")
    }
}
