import Bytes
import Testing

@testable import RateLimiting

struct DenyCacheTests {
    private func hash(_ number: Int) -> KeyHash { String(number).withByteView { KeyHash($0) } }

    private func insert(_ cache: inout DenyCache, _ key: KeyHash, until: Int64) {
        cache.insert(key, untilUs: until, retryAtUs: until + 1, resetAtUs: until + 2, clockOffsetUs: 3)
    }

    @Test func servesUntilItsTimeAndNotAtIt() throws {
        var cache = DenyCache()
        #expect(cache.find(hash(1), nowUs: 0) == nil)
        insert(&cache, hash(1), until: 100)
        let entry = try #require(cache.find(hash(1), nowUs: 99))
        #expect(entry.untilUs == 100 && entry.retryAtUs == 101 && entry.resetAtUs == 102 && entry.clockOffsetUs == 3)
        #expect(cache.find(hash(1), nowUs: 100) == nil)
        #expect(cache.find(hash(2), nowUs: 0) == nil)
    }

    @Test func theLastRefusalOfAKeyCounts() {
        var cache = DenyCache()
        insert(&cache, hash(1), until: 100)
        insert(&cache, hash(1), until: 50)
        #expect(cache.find(hash(1), nowUs: 60) == nil)
        insert(&cache, hash(1), until: 200)
        #expect(cache.find(hash(1), nowUs: 150)?.untilUs == 200)
    }

    @Test func forgetsOneOrAll() {
        var cache = DenyCache()
        cache.drop(hash(1))
        insert(&cache, hash(1), until: 100)
        insert(&cache, hash(2), until: 100)
        cache.drop(hash(1))
        #expect(cache.find(hash(1), nowUs: 0) == nil)
        #expect(cache.find(hash(2), nowUs: 0) != nil)
        cache.dropAll()
        #expect(cache.find(hash(2), nowUs: 0) == nil)
        insert(&cache, hash(2), until: 100)
        #expect(cache.find(hash(2), nowUs: 0) != nil)
    }

    /// In a full set the entry that ends first gives way.
    @Test func aFullSetLosesWhatEndsFirst() {
        var cache = DenyCache(capacity: 4)
        for i in 1...4 { insert(&cache, hash(i), until: Int64(i * 10)) }
        for i in 1...4 { #expect(cache.find(hash(i), nowUs: 0) != nil) }
        insert(&cache, hash(5), until: 25)
        #expect(cache.find(hash(1), nowUs: 0) == nil)
        for i in 2...5 { #expect(cache.find(hash(i), nowUs: 0) != nil, "\(i)") }
        insert(&cache, hash(6), until: 5)
        #expect(cache.find(hash(2), nowUs: 0) == nil)
        #expect(cache.find(hash(6), nowUs: 0) != nil)
    }

    @Test func keysDoNotAnswerForEachOther() {
        var cache = DenyCache(capacity: 1024)
        for i in 0..<5000 { insert(&cache, hash(i), until: Int64(i + 1)) }
        for i in 0..<5000 {
            if let entry = cache.find(hash(i), nowUs: 0) { #expect(entry.untilUs == Int64(i + 1)) }
        }
        #expect((0..<5000).count { cache.find(hash($0), nowUs: 0) != nil } <= 1024)
        #expect(cache.find(hash(4999), nowUs: 0) != nil)
    }
}
