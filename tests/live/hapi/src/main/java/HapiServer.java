import ca.uhn.fhir.batch2.jobs.config.Batch2JobsConfig;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.FhirVersionEnum;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.ThreadPoolFactoryConfig;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.batch2.JpaBatch2Config;
import ca.uhn.fhir.jpa.config.HapiJpaConfig;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.r4b.JpaR4BConfig;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirH2Dialect;
import ca.uhn.fhir.jpa.provider.IJpaSystemProvider;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.subscription.channel.config.SubscriptionChannelConfig;
import ca.uhn.fhir.jpa.subscription.match.config.SubscriptionProcessorConfig;
import ca.uhn.fhir.jpa.subscription.match.deliver.email.IEmailSender;
import ca.uhn.fhir.jpa.subscription.submit.config.SubscriptionSubmitterConfig;
import ca.uhn.fhir.jpa.topic.SubscriptionTopicConfig;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import jakarta.persistence.EntityManagerFactory;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import javax.sql.DataSource;
import org.apache.commons.dbcp2.BasicDataSource;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.config.BeanDefinition;
import org.springframework.beans.factory.config.BeanFactoryPostProcessor;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.beans.factory.config.DependencyDescriptor;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.ContextAnnotationAutowireCandidateResolver;
import org.springframework.context.annotation.Import;
import org.springframework.context.annotation.Primary;
import org.springframework.data.envers.repository.support.EnversRevisionRepositoryFactoryBean;
import org.springframework.data.repository.Repository;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;

/**
 * A HAPI FHIR JPA server on loopback with its data in one H2 file.
 *
 * <p>{@code HapiServer <directory> <port> <R4|R4B>} prints its port once it answers, logs to
 * standard error and ends when its standard input does.
 */
public final class HapiServer {

  /** Marks a directory whose database has its tables. */
  private static final String SCHEMA = "schema";

  /** What was committed survives a kill; the database closes after the server, not beside it. */
  private static final String H2 = "WRITE_DELAY=0;DB_CLOSE_ON_EXIT=FALSE";

  public static void main(String[] args) {
    try {
      run(args);
    } catch (Throwable failure) {
      // Threads that are already up would keep a server alive that never answers.
      failure.printStackTrace();
      System.exit(1);
    }
  }

  private static void run(String[] args) throws Exception {
    // Standard output carries the port and nothing else, or a full pipe would stop the server.
    PrintStream answer = System.out;
    System.setOut(System.err);
    Path home = Path.of(args[0]).toAbsolutePath();
    System.setProperty("hapi.home", home.toString());
    var version = FhirVersionEnum.valueOf(args[2]);
    LoggerFactory.getLogger(HapiServer.class); // Once, before two threads want it.
    // The model is scanned on one core while Hibernate is built on the other.
    new Thread(() -> {
      var fhir = FhirContext.forCached(version);
      fhir.getResourceTypes().forEach(fhir::getResourceDefinition);
    }).start();
    var context = new AnnotationConfigApplicationContext();
    context.getDefaultListableBeanFactory().setAutowireCandidateResolver(new LazyRepositories());
    context.register(model(version), Config.class);
    context.refresh();
    if (!Files.exists(home.resolve(SCHEMA))) {
      Files.createFile(home.resolve(SCHEMA));
    }
    Server server = serve(context.getBean(RestfulServer.class), Integer.parseInt(args[1]));
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      try {
        server.stop();
      } catch (Exception e) {
        e.printStackTrace();
      }
      context.close();
    }));
    answer.println(((ServerConnector) server.getConnectors()[0]).getLocalPort());
    // Whoever started this server holds its standard input: its end is the server's end.
    while (System.in.read() >= 0) {}
    System.exit(0);
  }

  private static Class<?> model(FhirVersionEnum version) {
    return switch (version) {
      case R4 -> JpaR4Config.class;
      case R4B -> JpaR4BConfig.class;
      default -> throw new IllegalArgumentException(version + " is not served");
    };
  }

  private static Server serve(RestfulServer fhir, int port) throws Exception {
    Server server = new Server();
    ServerConnector connector = new ServerConnector(server);
    connector.setHost("127.0.0.1");
    connector.setPort(port);
    server.addConnector(connector);
    ServletContextHandler servlets = new ServletContextHandler("/");
    servlets.addServlet(new ServletHolder(fhir), "/fhir/*");
    server.setHandler(servlets);
    server.start();
    return server;
  }

  /** Repositories parse their queries at first use: a third of the start otherwise. */
  static class LazyRepositories extends ContextAnnotationAutowireCandidateResolver {
    @Override
    protected boolean isLazy(DependencyDescriptor descriptor) {
      return Repository.class.isAssignableFrom(descriptor.getDependencyType())
          || super.isLazy(descriptor);
    }
  }

  /** Leaves the repositories out of the eager start. */
  static class LazyRepositoryFactories implements BeanFactoryPostProcessor {
    @Override
    public void postProcessBeanFactory(ConfigurableListableBeanFactory beans) {
      for (String name : beans.getBeanDefinitionNames()) {
        BeanDefinition bean = beans.getBeanDefinition(name);
        if (EnversRevisionRepositoryFactoryBean.class.getName().equals(bean.getBeanClassName())) {
          bean.setLazyInit(true);
          bean.getPropertyValues().add("lazyInit", true);
        }
      }
    }
  }

  @Configuration
  @Import({
    HapiJpaConfig.class,
    JpaBatch2Config.class,
    Batch2JobsConfig.class,
    SubscriptionSubmitterConfig.class,
    SubscriptionProcessorConfig.class,
    SubscriptionChannelConfig.class,
    SubscriptionTopicConfig.class,
    ThreadPoolFactoryConfig.class
  })
  static class Config {

    @Bean
    static BeanFactoryPostProcessor lazyRepositoryFactories() {
      return new LazyRepositoryFactories();
    }

    @Bean
    JpaStorageSettings storageSettings() {
      var settings = new JpaStorageSettings();
      settings.setReuseCachedSearchResultsForMillis(null);
      settings.setResourceClientIdStrategy(JpaStorageSettings.ClientIdStrategyEnum.ANY);
      settings.setResourceServerIdStrategy(JpaStorageSettings.IdStrategyEnum.UUID);
      settings.setEnforceReferentialIntegrityOnWrite(false);
      settings.setEnforceReferentialIntegrityOnDelete(false);
      settings.setAllowExternalReferences(true);
      settings.setAllowMultipleDelete(true);
      settings.setHibernateSearchIndexFullText(false);
      return settings;
    }

    @Bean
    SubscriptionSettings subscriptionSettings() {
      var settings = new SubscriptionSettings();
      settings.addSupportedSubscriptionType(
          org.hl7.fhir.dstu2.model.Subscription.SubscriptionChannelType.RESTHOOK);
      settings.setSubscriptionChangeQueuedImmediately(true);
      settings.setSubscriptionIntervalInMs(200); // Five seconds otherwise, for each delivery.
      return settings;
    }

    @Bean
    PartitionSettings partitionSettings() {
      return new PartitionSettings();
    }

    @Bean
    IEmailSender emailSender() {
      return details -> {
        throw new UnsupportedOperationException("only rest-hook subscriptions are on");
      };
    }

    @Bean(destroyMethod = "close")
    DataSource dataSource() {
      var pool = new BasicDataSource();
      pool.setUrl("jdbc:h2:file:" + System.getProperty("hapi.home") + "/h2;" + H2);
      pool.setUsername("sa");
      pool.setPassword("");
      pool.setMaxTotal(20);
      return pool;
    }

    @Bean
    @Primary
    LocalContainerEntityManagerFactoryBean entityManagerFactory(
        DataSource source,
        ConfigurableListableBeanFactory beans,
        FhirContext fhir,
        JpaStorageSettings settings) {
      var factory = HapiEntityManagerFactoryUtil.newEntityManagerFactory(beans, fhir, settings);
      boolean first = !Files.exists(Path.of(System.getProperty("hapi.home"), SCHEMA));
      var properties = new Properties();
      properties.put("hibernate.dialect", HapiFhirH2Dialect.class.getName());
      properties.put("hibernate.hbm2ddl.auto", first ? "update" : "none");
      properties.put("hibernate.search.enabled", "false");
      properties.put("hibernate.jdbc.batch_size", "20");
      factory.setPersistenceUnitName("hapi");
      factory.setDataSource(source);
      factory.setJpaProperties(properties);
      return factory;
    }

    @Bean
    @Primary
    JpaTransactionManager transactionManager(EntityManagerFactory entities) {
      return new JpaTransactionManager(entities);
    }

    @Bean
    RestfulServer restfulServer(
        IFhirSystemDao<?, ?> system,
        IJpaSystemProvider systemProvider,
        ResourceProviderFactory providers,
        JpaStorageSettings settings,
        ISearchParamRegistry searchParameters,
        IValidationSupport validation,
        DatabaseBackedPagingProvider paging) {
      var server = new RestfulServer(system.getContext());
      server.registerProviders(providers.createProviders());
      server.registerProvider(systemProvider);
      var capabilities =
          new JpaCapabilityStatementProvider(server, system, settings, searchParameters, validation);
      var version = system.getContext().getVersion().getVersion();
      capabilities.setImplementationDescription("HAPI FHIR " + version);
      server.setServerConformanceProvider(capabilities);
      server.setPagingProvider(paging);
      return server;
    }
  }
}
