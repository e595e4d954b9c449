use super::super::Value;
use super::{label, of};

#[test]
fn of_sentences() {
    for (text, code) in [
        ("Could you please tell me when my order will arrive?", "en"),
        ("Können Sie mir bitte sagen, wann meine Bestellung ankommt?", "de"),
        ("Pouvez-vous me dire quand ma commande va arriver ?", "fr"),
        ("¿Me puede decir cuándo va a llegar mi pedido, por favor?", "es"),
        ("Mi può dire quando arriva il mio ordine, per favore?", "it"),
        ("Pode me dizer quando o meu pedido vai chegar, por favor? Já não sei o que fazer.", "pt"),
        (
            "Kunt u mij vertellen wanneer mijn bestelling aankomt? Ik heb er al lang niets meer van gehoord.",
            "nl",
        ),
        ("Kan du säga när min beställning kommer? Jag har inte hört något från er på en vecka.", "sv"),
        ("Kan du sige, hvornår min bestilling kommer? Jeg har ikke hørt noget fra jer i en uge.", "da"),
        ("Voitko kertoa, milloin tilaukseni saapuu? En ole kuullut mitään, ja se on jo myöhässä.", "fi"),
        ("Czy może mi pan powiedzieć, kiedy dotrze moje zamówienie? Nie wiem, co się z nim dzieje.", "pl"),
        ("Siparişim ne zaman gelecek? Bana bu konuda bir bilgi verir misiniz, çok teşekkür ederim.", "tr"),
        ("Когда придёт мой заказ? Я не знаю, что с ним случилось.", "ru"),
        ("Коли прийде моє замовлення? Я не знаю, що з ним і де воно є.", "uk"),
        ("متى سيصل طلبي؟ لم أسمع أي شيء عن هذا الطلب من الشركة.", "ar"),
        ("سفارش من کی می رسد؟ من از این سفارش خبری ندارم.", "fa"),
        ("मेरा ऑर्डर कब आएगा? मुझे इस के बारे में कुछ नहीं पता है।", "hi"),
        ("我的订单什么时候到？", "zh"),
        ("注文はいつ届きますか？", "ja"),
        ("제 주문은 언제 도착하나요?", "ko"),
        ("Πότε θα φτάσει η παραγγελία μου;", "el"),
        ("מתי תגיע ההזמנה שלי?", "he"),
        ("คำสั่งซื้อของฉันจะมาถึงเมื่อไหร่", "th"),
    ] {
        assert_eq!(of("language", text), label(code), "{text}");
    }
}

#[test]
fn what_cannot_be_told() {
    for text in ["Paracetamol", "xkcd qwerty asdf", "ls -la src/*.rs | wc -l", "{\"id\": \"a-1\"}"] {
        assert_eq!(of("language", text), label("und"), "{text}");
    }
    for text in ["", "12:30", "🎉🎉", "--- *** ---"] {
        assert_eq!(of("language", text), Value::Missing, "{text}");
        assert_eq!(of("script", text), Value::Missing, "{text}");
    }
}
