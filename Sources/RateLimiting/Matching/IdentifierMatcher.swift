import Bytes
import Services

/// A rule's `match.identifier`: identities by name, addresses by block.
///
/// `user:42`, `key:…`, `ip:…` and `id:…` name one namespace; text without such a beginning is meant in any of them.
struct IdentifierMatcher: Sendable {
    private var named: [ByteTable<Bool>] = Identity.Kind.allCases.map { _ in ByteTable() }
    private var blocks: [AddressBlock] = []

    init(_ texts: [String]) {
        for text in texts {
            let (kind, value) = IdentifierMatcher.split(text)
            if kind == nil || kind == .ip, let block = AddressBlock(value) {
                blocks.append(block)
                continue
            }
            for target in Identity.Kind.allCases where kind == nil || kind == target {
                named[target.rawValue][[UInt8](value.utf8), default: true] = true
            }
        }
    }

    /// How specifically the identity is meant: nil not at all, 1 to 129 by an address block, 200 by name.
    func rank(_ request: CheckRequest) -> Int? {
        if named[request.identity.kind.rawValue][request.identity.value] != nil { return 200 }
        guard let address = request.address else { return nil }
        var best: Int?
        for block in blocks where block.contains(address) { best = max(best ?? 0, block.bits + 1) }
        return best
    }

    /// The form in which an identifier is stored: an API key only as its hash.
    static func canonical(_ text: String) -> String {
        let (kind, value) = split(text)
        guard kind == .key, !value.hasPrefix("sha256~") else { return text }
        let buffer = ByteBuffer()
        value.withByteView { Identity.appendHashedKey($0, to: buffer) }
        return "key:" + buffer.view.string
    }

    private static func split(_ text: String) -> (kind: Identity.Kind?, value: String) {
        for kind in Identity.Kind.allCases where text.hasPrefix("\(kind.label):") {
            return (kind, String(text.dropFirst("\(kind.label):".count)))
        }
        return (nil, text)
    }
}
