import Bytes
import HTTP

/// The part of a list that a request asks for: `?limit=` (default 100, at most 1000) and `?cursor=`.
public struct Page: Sendable {
    public let limit: Int
    private let cursor: String?

    static let longestCursor = 512

    public init(_ exchange: Exchange) throws(Problem) {
        cursor = exchange.queryItem("cursor")
        // Those that are given out are ids, or two of them.
        guard cursor?.utf8.count ?? 0 <= Page.longestCursor else {
            throw .field("cursor", "is not one that was given out")
        }
        guard let text = exchange.queryItem("limit") else {
            limit = 100
            return
        }
        guard let limit = Digits.int(text, most: 4), (1...1000).contains(limit) else {
            throw .field("limit", "must be from 1 to 1000")
        }
        self.limit = limit
    }

    /// The place from where the page begins; nil for the list's beginning.
    /// - Parameter read: reads a cursor of the list; nil for text that is none.
    public func place<Place>(_ read: (String) -> Place?) throws(Problem) -> Place? {
        guard let cursor else { return nil }
        guard let place = read(cursor) else { throw .field("cursor", "is not one that was given out") }
        return place
    }

    /// Names the next page in the answer's `Link` header.
    /// - Parameter filters: members of the query that the next page is to have as well.
    public func addNextLink(_ cursor: String, to exchange: Exchange, keeping filters: [StaticString] = []) {
        let kept = filters.compactMap { name in exchange.queryItem(name).map { (name, $0) } }
        exchange.addHeader("Link") { header in
            header.append("<")
            header.append(exchange.path)
            header.append("?limit=")
            header.append(decimal: limit)
            header.append("&cursor=")
            cursor.withByteView { KeyText.appendEscaped($0, to: header) }
            for (name, value) in kept {
                header.append("&")
                header.append(name)
                header.append("=")
                value.withByteView { KeyText.appendEscaped($0, to: header) }
            }
            header.append(">; rel=\"next\"")
        }
    }
}
