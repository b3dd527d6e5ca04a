import Bytes
import Services

/// One text of a rule's `match.identifier`: an identity by name, or addresses by block.
///
/// `user:42`, `key:…`, `ip:…` and `id:…` name one namespace; text without such a beginning is meant in any of them.
enum IdentifierMatcher: Sendable {
    /// - kinds: a bit for each namespace, that of its `rawValue`.
    case name(kinds: UInt8, [UInt8])
    case block(AddressBlock)

    init(_ text: String) {
        let (kind, value) = IdentifierMatcher.split(text)
        if kind == nil || kind == .ip, let block = AddressBlock(value) {
            self = .block(block)
        } else {
            self = .name(kinds: kind.map { 1 << UInt8($0.rawValue) } ?? .max, [UInt8](value.utf8))
        }
    }

    /// How specifically an identity is meant by its name; by a block it is as many as the block has bits, and one.
    static let rankOfName = 200

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
