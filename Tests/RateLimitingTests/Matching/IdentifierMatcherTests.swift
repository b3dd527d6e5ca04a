import Bytes
import Testing

@testable import RateLimiting

struct IdentifierMatcherTests {
    private let texts = RequestTexts()

    @Test func anUnmarkedNameIsMeantInEveryNamespace() {
        let matcher = IdentifierMatcher(["ann"])
        #expect(matcher.rank(texts.request(id: "ann")) == 200)
        #expect(matcher.rank(texts.request(user: "ann")) == 200)
        #expect(matcher.rank(texts.request(user: "anna")) == nil)
        #expect(matcher.rank(texts.request(user: "an")) == nil)
    }

    @Test func aMarkedNameIsMeantInItsOwn() {
        let matcher = IdentifierMatcher(["user:ann", "id:ben"])
        #expect(matcher.rank(texts.request(user: "ann")) == 200)
        #expect(matcher.rank(texts.request(id: "ann")) == nil)
        #expect(matcher.rank(texts.request(id: "user:ann")) == nil)
        #expect(matcher.rank(texts.request(id: "ben")) == 200)
        #expect(matcher.rank(texts.request(key: "ann")) == nil)
    }

    @Test func apiKeysMatchByTheirDigest() {
        let matcher = IdentifierMatcher([IdentifierMatcher.canonical("key:s3cret")])
        #expect(matcher.rank(texts.request(key: "s3cret")) == 200)
        #expect(matcher.rank(texts.request(key: "S3cret")) == nil)
        #expect(matcher.rank(texts.request(user: "s3cret")) == nil)
        let canonical = IdentifierMatcher.canonical("key:s3cret")
        #expect(IdentifierMatcher.canonical(canonical) == canonical, "what is stored reads back the same")
    }

    @Test func addressesMatchByBlockWhateverTheIdentityIs() {
        let matcher = IdentifierMatcher(["192.0.2.0/24", "ip:2001:db8::/32", "10.0.0.1"])
        #expect(matcher.rank(texts.request(ip: "192.0.2.9")) == 25)
        #expect(matcher.rank(texts.request(ip: "::ffff:192.0.2.9")) == 25)
        #expect(matcher.rank(texts.request(user: "ann", ip: "192.0.2.9")) == 25)
        #expect(matcher.rank(texts.request(ip: "192.0.3.9")) == nil)
        #expect(matcher.rank(texts.request(ip: "2001:db8:9::1")) == 33)
        #expect(matcher.rank(texts.request(ip: "10.0.0.1")) == 33)
        #expect(matcher.rank(texts.request(ip: "10.0.0.2")) == nil)
        #expect(matcher.rank(texts.request(user: "192.0.2.9")) == nil, "a user's name is no address")
    }

    @Test func theNarrowestBlockCountsAndANameIsNarrower() {
        let matcher = IdentifierMatcher(["10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "user:ann"])
        #expect(matcher.rank(texts.request(ip: "10.1.2.3")) == 17)
        #expect(matcher.rank(texts.request(ip: "10.2.2.3")) == 9)
        #expect(matcher.rank(texts.request(ip: "11.2.2.3")) == 1)
        #expect(matcher.rank(texts.request(user: "ann", ip: "10.1.2.3")) == 200)
    }
}
